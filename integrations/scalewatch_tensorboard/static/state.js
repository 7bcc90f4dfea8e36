// What is shown: kept in the address (deep links); how a person likes axes: kept in the browser.

const STORED = "scalewatch.axes";
const AXES = ["x", "xscale", "yscale", "smooth"];

const ALLOWED = {
  panel: ["overview", "run", "health", "forecast", "scaling", "advice"],
  x: ["steps", "tokens", "flops", "hours"],
  xscale: ["linear", "log"],
  yscale: ["linear", "log"],
  smooth: ["0", "1", "2", "3", "4"],
  scaling: ["isoflop", "isoloss", "frontier", "ladder", "collapse"],
};

const DEFAULTS = {
  panel: null,
  run: null,
  x: "steps",
  xscale: "linear",
  yscale: null,
  smooth: "2",
  from: null,
  to: null,
  compare: [],
  reference: null,
  scaling: "isoflop",
  total_steps: null,
  schedule: null,
  at: null,
  extend: null,
  decay: null,
  rate: null,
};

const NUMBERS = ["from", "to"];
const LETTERS = 512;

function stored() {
  try {
    const found = JSON.parse(window.localStorage.getItem(STORED) ?? "{}");
    return Object.fromEntries(AXES.filter((name) => ALLOWED[name].includes(found?.[name])).map((name) => [name, found[name]]));
  } catch {
    return {};
  }
}

/** State out of a link's parameters; what is not understood is left out. */
export function parsed(parameters) {
  const found = {};
  for (const [name, value] of Object.entries(parameters)) {
    if (!(name in DEFAULTS) || typeof value !== "string" || value.length > 8 * LETTERS) continue;
    if (ALLOWED[name] && !ALLOWED[name].includes(value)) continue;
    if (name === "compare") {
      found.compare = value.split("&").map(decodeURIComponent).filter(Boolean).slice(0, 8);
    } else if (NUMBERS.includes(name)) {
      if (value !== "" && Number.isFinite(Number(value))) found[name] = Number(value);
    } else {
      found[name] = value.slice(0, LETTERS);
    }
  }
  return found;
}

/** The same of a whole link: what it does not say is as it is without one, but for how a person likes axes. */
export function whole(parameters) {
  const plain = Object.fromEntries(Object.entries(DEFAULTS).filter(([name]) => !AXES.includes(name)));
  return { ...plain, ...parsed(parameters) };
}

/** The state of the page. Listeners hear the names that changed. */
export class State {
  constructor() {
    this.now = { ...DEFAULTS, ...stored() };
    this.listeners = [];
  }

  onChange(listener) {
    this.listeners.push(listener);
  }

  /** Change some of it. Another run or another x axis ends the zoom. */
  set(patch) {
    const wanted = { ...patch };
    const other = (name) => name in wanted && wanted[name] !== this.now[name];
    if ((other("run") || other("x")) && !("from" in wanted)) Object.assign(wanted, { from: null, to: null });
    const changed = Object.keys(wanted).filter((name) => JSON.stringify(wanted[name]) !== JSON.stringify(this.now[name]));
    if (changed.length === 0) return;
    this.now = { ...this.now, ...wanted };
    if (changed.some((name) => AXES.includes(name))) this.store();
    for (const listener of this.listeners) listener(changed);
  }

  store() {
    try {
      window.localStorage.setItem(STORED, JSON.stringify(Object.fromEntries(AXES.map((name) => [name, this.now[name]]))));
    } catch {
      // a browser that keeps nothing still shows charts
    }
  }

  /** Parameters of the link to what is seen now. */
  parameters() {
    const given = {};
    for (const [name, value] of Object.entries(this.now)) {
      if (value === null || value === "" || (Array.isArray(value) && value.length === 0)) continue;
      given[name] = Array.isArray(value) ? value.map(encodeURIComponent).join("&") : String(value);
    }
    return given;
  }
}

/** How a person likes one thing, kept in the browser under `name`: a list or a flag for each of its defaults. */
export class Kept {
  constructor(name, defaults) {
    this.name = name;
    this.now = { ...defaults };
    try {
      const found = JSON.parse(window.localStorage.getItem(name) ?? "{}");
      for (const [key, value] of Object.entries(defaults)) {
        const fits = Array.isArray(value) ? Array.isArray(found?.[key]) && found[key].every((each) => typeof each === "string") : typeof found?.[key] === typeof value;
        if (fits) this.now[key] = found[key];
      }
    } catch {
      // a browser that keeps nothing still shows runs
    }
  }

  set(patch) {
    Object.assign(this.now, patch);
    try {
      window.localStorage.setItem(this.name, JSON.stringify(this.now));
    } catch {
      // the same
    }
  }
}
