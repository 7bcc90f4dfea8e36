// Health: does anything look unlike the rest of the run?

import { Chart } from "./chart.js";
import { emptyState, h, replace } from "./dom.js";
import { capital, count } from "./format.js";

/** Residuals, noise and precursors, and what each detector says. */
export class HealthPanel {
  constructor(app) {
    this.app = app;
    this.chart = new Chart(app, {
      label: "Health of the run",
      onZoom: (window) => app.state.set({ from: window ? window[0] : null, to: window ? window[1] : null }),
      onIncident: (index) => app.openIncident(index),
    });
    this.detectors = h("div", {});
    this.element = h(
      "div",
      { class: "beside" },
      h("div", { class: "wide" }, this.chart.element),
      h("aside", { "aria-label": "Detectors" }, h("h2", {}, "Detectors"), this.detectors),
    );
  }

  show() {
    const { run, x, xscale, from, to } = this.app.state.now;
    this.chart.show({ chart: "health", run, x, xscale, from, to, ...this.app.guess() }, this.app.version(run));
  }

  tell(detail) {
    const first = [...(detail.detectors ?? [])].sort((one, other) => (other.state === "open") - (one.state === "open"));
    const rows = first.map((detector) => {
      const [kind, state] = said(detector, detail.level === "unknown");
      return h("li", {}, h("span", { class: "what" }, capital(detector.name)), h("span", { class: `state ${kind}` }, state), h("p", { class: "small" }, detector.looks_at ?? ""));
    });
    replace(this.detectors, rows.length ? h("ul", { class: "detectors" }, rows) : emptyState("Detectors begin to look with the first rows of the run."));
  }
}

/** How a detector stands: what was not given is not quiet, and neither is what saw too little. */
function said(detector, early) {
  if (detector.state === "open") return ["open", `Open since step ${count(detector.since)}`];
  if (detector.state === "not measured") return ["unknown", `Not measured: log ${detector.needs}`];
  return early ? ["unknown", "Too few rows"] : ["quiet", capital(detector.state)];
}
