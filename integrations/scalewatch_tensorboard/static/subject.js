// The line that says which run is looked at and how it is.

import { h, progressBar, replace } from "./dom.js";
import { interval, loss, percent } from "./format.js";
import { runPicker } from "./pickers.js";
import { badge, headline, position } from "./verdict.js";

/** Run picker, verdict and the numbers that matter. */
export class Subject {
  constructor(app) {
    this.app = app;
    this.picker = runPicker(app);
    this.facts = h("div", { class: "facts" });
    this.element = h("div", { class: "subject" }, this.picker.element, this.facts);
  }

  show(visible) {
    this.element.hidden = !visible || this.app.runs.length === 0;
    if (this.element.hidden) return;
    this.picker.set();
    const row = this.app.row(this.app.state.now.run);
    const mark = JSON.stringify(row);
    if (mark === this.drawn) return;
    this.drawn = mark;
    replace(this.facts, row ? facts(row) : h("p", {}, `There is no run named “${this.app.state.now.run}” below this log folder. Choose one on the left.`));
  }
}

function facts(row) {
  const fact = (name, ...value) => h("div", { class: "fact" }, h("span", { class: "small" }, name), h("span", {}, value));
  const reading = row.stage === "reading" && row.read < 1;
  return [
    h("div", { class: "fact verdict" }, badge(row), headline(row) ? h("span", { class: "headline" }, headline(row)) : null),
    fact("Progress", position(row)),
    reading ? fact(`Reading, ${percent(row.read)}`, progressBar(row.read, "read")) : null,
    fact(row.progress === 1 ? "Loss at the end" : "Loss now", loss(row.last_loss)),
    row.forecast ? fact("Will end at", loss(row.forecast.final_loss), h("span", { class: "muted" }, ` (80 %: ${interval(row.forecast.low, row.forecast.high)})`)) : null,
    row.gap ? h("div", { class: "fact gap" }, h("span", { class: "small" }, "Against its law"), h("span", {}, row.gap.sentence)) : null,
  ];
}
