// Advice: what should I do now, and why?

import { emptyState, h, replace } from "./dom.js";
import { capital, count, DASH, sentence, signed } from "./format.js";
import { gradeWords } from "./forecast.js";
import { IncidentList } from "./incidents.js";
import { behind } from "./verdict.js";

function gain(advice) {
  const [low, high] = advice.gain_interval ?? [];
  const around = typeof low === "number" && typeof high === "number" ? ` (80 %: ${signed(low)} to ${signed(high)})` : "";
  return `${signed(advice.expected_gain)}${advice.unit || ""} of final loss${around}`;
}

/** One advice; `bare` without what stands beside it already. What nobody knows is left out. */
export function card(advice, { bare = false } = {}) {
  const fact = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
  return h(
    "article",
    { class: "advice" },
    bare ? null : [h("h3", {}, capital(advice.action)), h("p", {}, sentence(advice.reason))],
    h(
      "dl",
      {},
      fact("Evidence", gradeWords(advice.evidence_grade)),
      typeof advice.expected_gain === "number" ? fact("Expected gain", gain(advice)) : null,
      advice.would_change ? fact("Ignore this if", advice.would_change) : null,
      fact("Said at", `step ${count(advice.step)}`),
    ),
  );
}

function folded(advice) {
  const summary = h("summary", {}, h("span", { class: "what" }, capital(advice.action)), h("span", { class: "where" }, advice.step ? `step ${count(advice.step)}` : DASH));
  return h("li", {}, h("details", {}, summary, card(advice)));
}

/** What else could be done, what was advised before, and all incidents; the first advice stands on top of the page. */
export class AdvicePanel {
  constructor(app) {
    this.app = app;
    this.current = h("div", {});
    this.history = h("div", {});
    this.incidents = new IncidentList({ onShow: (incident) => app.showIncident(incident), empty: "No incident so far." });
    this.element = h(
      "div",
      { class: "beside even" },
      h("div", { class: "wide" }, h("h2", {}, "What to do, the most urgent first"), this.current, h("h2", {}, "What was advised before"), this.history),
      h("aside", { "aria-label": "Incidents" }, h("h2", {}, "Incidents"), this.incidents.element),
    );
  }

  show() {}

  tell(detail) {
    const all = detail.advice ?? [];
    const mark = JSON.stringify(all);
    if (mark !== this.drawn) {
      this.drawn = mark;
      const [first, ...rest] = all.filter((each) => each.current !== false);
      const before = all.filter((each) => each.current === false);
      if (first) replace(this.current, card(first), rest.length ? h("ul", { class: "incident-list" }, rest.map(folded)) : null);
      else replace(this.current, emptyState("Nothing to do: no advice holds at the moment."));
      replace(this.history, before.length ? h("ul", { class: "incident-list" }, before.map(folded)) : emptyState("Nothing else was advised so far."));
    }
    this.incidents.fill(detail.findings ?? [], detail.open ?? [], behind(detail, this.app.row(detail.name)));
  }
}
