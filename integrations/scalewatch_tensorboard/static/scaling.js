// Scaling: where does this run stand among runs of other sizes?

import { Chart } from "./chart.js";
import { h } from "./dom.js";
import { tabs } from "./tabs.js";

const VIEWS = [
  { value: "isoflop", text: "IsoFLOP", lead: "At the same compute, which size gives the least loss? Each curve is one budget; the run is placed among them." },
  { value: "isoloss", text: "IsoLoss", lead: "Which sizes and data reach the same loss? Each line is one loss; the run moves across them as it trains." },
  { value: "frontier", text: "Frontier", lead: "How little loss can a budget buy? The band is the law's best run at each compute; above it compute was spent less well." },
  { value: "ladder", text: "Ladder", lead: "Did smaller runs foretell this one? Each rung is a finished run; the line is the law through them." },
  { value: "collapse", text: "Collapse", lead: "Do runs of all sizes follow one curve? Scaled by where each ends, healthy runs lie on each other." },
];

/** Five charts of which one is seen. */
export class ScalingPanel {
  constructor(app) {
    this.app = app;
    const panel = h("div", {});
    this.tabs = tabs({ label: "Scaling charts", options: VIEWS, panel, level: "sub", onChange: (scaling) => app.state.set({ scaling }) });
    this.lead = h("p", { class: "lead" });
    this.charts = new Map(VIEWS.map(({ value, text }) => [value, new Chart(app, { label: text })]));
    this.panel = panel;
    this.element = h("div", {}, this.tabs.element, panel);
  }

  show() {
    const { run, scaling, compare, reference } = this.app.state.now;
    const view = VIEWS.find(({ value }) => value === scaling);
    const chart = this.charts.get(scaling);
    this.tabs.set(scaling);
    this.lead.textContent = view.lead;
    if (chart.element.parentElement !== this.panel) this.panel.replaceChildren(this.lead, chart.element);
    // these draw all finished runs beside this one
    chart.show({ chart: scaling, run, compare, reference, ...this.app.guess() }, [this.app.version(run), this.app.ladder]);
  }

  tell() {}
}
