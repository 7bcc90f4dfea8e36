// Run: is it healthy, and is it on its law?

import { text } from "./api.js";
import { Chart } from "./chart.js";
import { choice, h, replace } from "./dom.js";
import { IncidentList } from "./incidents.js";
import { ComparePicker, referencePicker } from "./pickers.js";
import { scheduleForm } from "./schedule_form.js";
import { behind } from "./verdict.js";

const AXES = [
  { value: "steps", text: "Steps" },
  { value: "tokens", text: "Tokens" },
  { value: "flops", text: "FLOPs", title: "Training compute" },
  { value: "hours", text: "Hours", title: "Wall-clock time" },
];
const SCALES = [
  { value: "linear", text: "Linear" },
  { value: "log", text: "Log" },
];
const LEAST_STEPS = 60;

/** The picture of one run and its incidents. */
export class RunPanel {
  constructor(app) {
    this.app = app;
    const set = (name) => (value) => app.state.set({ [name]: value });
    this.axes = {
      x: choice({ label: "X axis", options: AXES, value: "steps", onChange: set("x") }),
      xscale: choice({ label: "X scale", options: SCALES, value: "linear", onChange: set("xscale") }),
      yscale: choice({ label: "Loss scale", options: SCALES, value: "log", onChange: set("yscale") }),
    };
    this.smooth = h("input", { type: "range", min: 0, max: 4, step: 1, on: { input: () => app.state.set({ smooth: this.smooth.value }) } });
    this.compare = new ComparePicker(app);
    this.reference = referencePicker(app);
    this.schedule = scheduleForm(app);
    this.chart = new Chart(app, {
      label: "Loss of the run",
      onZoom: (window) => app.state.set({ from: window ? window[0] : null, to: window ? window[1] : null }),
      onIncident: (index) => this.explain(index, true),
      // what nobody chose, the server does: the loss is on a logarithmic axis where it can be
      onDrawn: (meta) => this.axes.yscale.set(app.state.now.yscale ?? (meta.log_y ? "log" : "linear")),
      rows: (format) => text("rows", { ...this.parameters(), format }),
    });
    this.incidents = new IncidentList({
      onRow: (incident) => this.zoomTo(incident),
      empty: "No incident so far. Spikes, divergence, a loss off its law and the like will stand here, and as marks in the chart.",
    });
    this.hint = h("p", { class: "hint" }, "Drag over the chart to zoom. With the chart in focus: + and − zoom, arrows move, Escape shows all. Click an entry of the legend to hide it, double-click it to see it alone.");
    this.notes = h("div", { class: "notes" });
    this.element = h(
      "div",
      { class: "run-panel" },
      h("div", { class: "bar-of-controls" }, this.axes.x.element, this.axes.xscale.element, this.axes.yscale.element, h("label", { class: "field" }, h("span", {}, "Smoothing"), this.smooth), this.compare.element, this.reference.element),
      this.schedule.element,
      h(
        "div",
        { class: "beside" },
        h("div", { class: "wide" }, this.chart.element, this.hint, this.notes),
        h("aside", { "aria-label": "Incidents" }, h("h2", {}, "Incidents"), this.incidents.element),
      ),
    );
  }

  parameters() {
    const { run, x, from, to } = this.app.state.now;
    return { run, x, from, to, ...this.app.guess() };
  }

  show() {
    const { now } = this.app.state;
    this.axes.x.set(now.x, this.detail?.axes);
    this.axes.xscale.set(now.xscale);
    if (now.yscale) this.axes.yscale.set(now.yscale);
    this.smooth.value = now.smooth;
    this.compare.set();
    this.reference.set();
    const { xscale, yscale, smooth, compare, reference } = now;
    const marks = [now.run, ...compare, reference].map((name) => this.app.version(name));
    this.chart.show({ chart: "run", ...this.parameters(), xscale, yscale, smooth, compare, reference }, marks);
  }

  /** Everything about the run that is not a picture. */
  tell(detail) {
    this.detail = detail;
    this.axes.x.set(this.app.state.now.x, detail.axes);
    this.incidents.fill(detail.findings ?? [], detail.open ?? [], behind(detail, this.app.row(detail.name)));
    this.schedule.tell(detail);
    const notes = detail.notes ?? [];
    replace(this.notes, notes.length ? [h("h2", {}, "Notes on this log"), h("ul", {}, notes.map((note) => h("li", {}, note)))] : []);
    if (this.waiting !== undefined && this.waiting !== null) this.explain(this.waiting);
  }

  /** Open the explanation of a finding, now or as soon as it is there. */
  explain(index, zoom = false) {
    const found = this.incidents.open(index);
    this.waiting = found ? null : index;
    if (found && zoom) this.zoomTo(found);
    if (found) this.app.announce(found.findings[0].message);
  }

  /** Look at an incident and at as much before and after it. */
  zoomTo(incident) {
    const long = Math.max(LEAST_STEPS, 2 * (incident.last - incident.first));
    this.app.state.set({ panel: "run", x: "steps", from: Math.max(1, incident.first - long), to: incident.last + long });
    this.chart.element.scrollIntoView({ block: "nearest" });
  }
}
