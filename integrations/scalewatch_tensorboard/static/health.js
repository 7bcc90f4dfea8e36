// Health: does anything look unlike the rest of the run?

import { Chart } from "./chart.js";
import { emptyState, h, replace, table } from "./dom.js";
import { capital, count, words } from "./format.js";

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
      const open = detector.state === "open";
      const state = open ? `Open since step ${count(detector.since)}` : capital(detector.state);
      return [[capital(detector.name), h("span", { class: "small" }, detector.looks_at ?? "")], h("span", { class: `state ${words(detector.state).replace(" ", "-")}` }, state)];
    });
    const columns = [{ text: "Detector" }, { text: "State" }];
    replace(
      this.detectors,
      rows.length ? table({ caption: "State of each detector", columns, rows }) : emptyState("Detectors begin to look with the first rows of the run."),
    );
  }
}
