// The drawing library: one file that the server makes from an installed Python package, fetched once.

const TRIES = 5;
const WAIT_MS = 700;

let loading = null;

function once(again) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.type = "module";
    script.src = again ? `./vega.js?again=${again}` : "./vega.js";
    script.addEventListener("load", () => (window.vegaEmbed ? resolve(window.vegaEmbed) : reject(new Error("empty"))));
    script.addEventListener("error", () => reject(new Error("not there")));
    document.head.append(script);
  });
}

async function patiently() {
  for (let again = 0; ; again += 1) {
    try {
      return await once(again);
    } catch {
      // the first `tensorboard` after an installation makes the file while we wait
      if (again + 1 >= TRIES) {
        throw new Error("The drawing library did not load: run `pip install 'scalewatch[tensorboard]'` where TensorBoard runs.");
      }
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS * 2 ** again));
    }
  }
}

/** The function `vegaEmbed`; a failure is forgotten, so that the next chart tries again. */
export function vegaEmbed() {
  loading ??= patiently().catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}
