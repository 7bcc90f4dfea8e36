// Advice: what should I do now, and why?

import { emptyState, h, replace } from "./dom.js";
import { capital, count, DASH, sentence, signed } from "./format.js";
import { gradeWords } from "./forecast.js";
import { IncidentList } from "./incidents.js";

function gain(advice) {
  if (typeof advice.expected_gain !== "number") return "not known";
  const [low, high] = advice.gain_interval ?? [];
  const around = typeof low === "number" && typeof high === "number" ? ` (80 %: ${signed(low)} to ${signed(high)})` : "";
  return `${signed(advice.expected_gain)} nats/token of final loss${around}`;
}

function card(advice) {
  const fact = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
  return h(
    "article",
    { class: "advice" },
    h("h3", {}, capital(advice.action)),
    h("p", {}, sentence(advice.reason)),
    h(
      "dl",
      {},
      fact("Evidence", gradeWords(advice.evidence_grade)),
      fact("Expected gain", gain(advice)),
      advice.would_change ? fact("What would change our mind", advice.would_change) : null,
      fact("Said at", `step ${count(advice.step)}`),
    ),
  );
}

/** Advice that holds, what was advised before, and all incidents. */
export class AdvicePanel {
  constructor(app) {
    this.current = h("div", { class: "cards" });
    this.history = h("div", {});
    this.incidents = new IncidentList({
      onShow: (incident) => app.showIncident(incident),
      empty: "No incident so far.",
    });
    this.element = h(
      "div",
      { class: "beside even" },
      h("div", { class: "wide" }, h("h2", {}, "What to do now"), this.current, h("h2", {}, "What was advised before"), this.history),
      h("aside", { "aria-label": "Incidents" }, h("h2", {}, "Incidents"), this.incidents.element),
    );
  }

  show() {}

  tell(detail) {
    const all = detail.advice ?? [];
    const now = all.filter((each) => each.current !== false);
    const before = all.filter((each) => each.current === false);
    const mark = JSON.stringify(all);
    if (mark !== this.drawn) {
      this.drawn = mark;
      replace(this.current, now.length ? now.map(card) : emptyState("Nothing to do: no advice holds at the moment. Let it train."));
      const past = before.map((each) => h("li", {}, h("details", {}, h("summary", {}, h("span", { class: "what" }, capital(each.action)), h("span", { class: "where" }, `step ${count(each.step) || DASH}`)), card(each))));
      replace(this.history, past.length ? h("ul", { class: "incident-list" }, past) : emptyState("Nothing else was advised so far."));
    }
    this.incidents.fill(detail.findings ?? [], detail.open ?? [], detail.stage === "reading" && detail.read < 1);
  }
}
