// The one answer on top of every panel: what is wrong, how bad it is, and what to do now.

import { card } from "./advice.js";
import { h, progressBar, replace } from "./dom.js";
import { ago, capital, count, interval, loss, plural, sentence } from "./format.js";
import { COLUMNS, compare } from "./overview_columns.js";
import { runPicker } from "./pickers.js";
import { badge, behind, level, matter, needs, position } from "./verdict.js";

/** Letters of a name that a list shows whole. */
const FULL_LETTERS = 30;

/** What is said of a run of which only the last rows are known. */
const UNREAD = { action: "look again in a moment", reason: "Only its last rows have been read so far." };

/** A part of the answer: a word over it, what matters in large, and what it rests on. */
function part(name, large, small, more) {
  return h("div", { class: `part ${name[0]}` }, h("p", { class: "small" }, name[1]), h("p", { class: "large" }, large), small ? h("p", { class: "on" }, small) : null, more);
}

/** Words behind a sign: for whoever wants to know more. */
export function behindSign(words, about) {
  return h("details", { class: "why" }, h("summary", { "aria-label": `info: ${about}`, title: about }, h("span", { "aria-hidden": "true" }, "i")), h("p", {}, words));
}

/** The answer about one run, or about all of them. */
export class Answer {
  constructor(app) {
    this.app = app;
    this.picker = runPicker(app);
    this.parts = h("div", { class: "parts" });
    this.full = h("p", { class: "small full" });
    this.rest = h("div", { class: "rest" });
    this.facts = h("div", { class: "facts" });
    this.which = h("div", { class: "which" }, this.picker.element, this.full);
    this.element = h("section", { class: "answer", "aria-label": "The answer" }, this.which, this.parts, this.rest, this.facts);
    this.detail = null;
  }

  /** What was fetched about a run says more than its row. */
  tell(run, detail) {
    this.detail = { run, version: this.app.version(run), detail };
    this.show(this.alone);
  }

  show(alone) {
    this.alone = alone;
    this.element.hidden = this.app.runs.length === 0;
    if (this.element.hidden) return;
    this.which.hidden = alone;
    if (!alone) this.picker.set();
    const { run } = this.app.state.now;
    // a list shows the ends of a long name: here is all of it
    this.full.textContent = (run ?? "").length > FULL_LETTERS ? run : "";
    const row = alone ? null : this.app.row(run);
    const known = this.detail?.run === run && this.detail.version === this.app.version(run) ? this.detail.detail : null;
    const mark = JSON.stringify(alone ? [this.needy().map((each) => [each.name, level(each), each.answer]), this.app.runs.map(({ stage }) => stage)] : [row, known?.advice, known?.answer]);
    if (mark === this.drawn) return;
    this.drawn = mark;
    // an answer that somebody has opened stays open while a run goes on
    const open = this.rest.querySelector("details.others")?.open && this.shown === run;
    this.shown = run;
    replace(this.rest);
    if (alone) this.overview();
    else if (row) this.run(row, known);
    else replace(this.parts, h("p", {}, `There is no run named “${run}” below this log folder. Choose one on the left.`));
    if (!alone && !row) replace(this.facts);
    if (open) this.rest.querySelector("details.others")?.setAttribute("open", "");
  }

  run(row, known) {
    // of a log that is being read the row may know its end before the page knows its middle
    const answer = (known && !behind(known, row) ? known.answer : row.answer) ?? UNREAD;
    const quiet = ["reading", "waiting", "failed"].includes(level(row));
    const since = [typeof answer.ago === "number" ? `for ${plural(answer.ago, "step")}` : "", row.seconds_last ? `last row ${ago(row.seconds_last)}` : ""].filter(Boolean).join(", ");
    replace(
      this.parts,
      part(["what", "State"], [badge(row), " ", matter(row)], since),
      answer.number && !quiet ? part(["bad", needs(row) ? "How bad" : "Where it is"], answer.number, answer.words) : null,
      quiet ? null : part(["do", "Do this"], capital(answer.action ?? ""), sentence(answer.reason ?? "")),
    );
    replace(this.rest, quiet ? null : others(known?.advice ?? [], answer.advice));
    replace(this.facts, facts(row, answer.of));
  }

  /** The runs that need somebody, in the order of the overview. */
  needy() {
    const verdict = COLUMNS.find(({ key }) => key === "verdict");
    return this.app.runs.filter(needs).sort((one, other) => compare(one, other, verdict, false));
  }

  overview() {
    const runs = this.needy();
    const unread = this.app.runs.filter(({ stage }) => stage === "glanced" || stage === "reading").length;
    replace(this.facts);
    if (runs.length === 0) {
      const going = this.app.runs.filter(({ stage }) => stage === "live").length;
      const rest = going ? `${plural(going, "run")} going on, none in trouble.` : "Nothing is open.";
      const text = unread ? `Of ${plural(unread, "run")} only the last rows are known yet.` : rest;
      return replace(this.parts, part(["what", "State"], `None of ${plural(this.app.runs.length, "run")} needs you${unread ? " so far" : ""}`, text));
    }
    const [worst] = runs;
    const lost = runs.filter((row) => level(row) === "lost").length;
    const kinds = [lost ? `${count(lost)} lost` : "", runs.length - lost ? `${count(runs.length - lost)} in trouble` : "", unread ? `${count(unread)} still being read` : ""].filter(Boolean).join(", ");
    const open = h("button", { type: "button", class: "tool strong", on: { click: () => this.app.openRun(worst.name) } }, "Open it");
    return replace(
      this.parts,
      part(["what", "State"], `${count(runs.length)} of ${plural(this.app.runs.length, "run")} need${runs.length === 1 ? "s" : ""} you`, kinds),
      part(["bad", "The worst that still counts"], [badge(worst), " ", worst.name], `${matter(worst)}${worst.answer?.number ? `: ${worst.answer.number} (${worst.answer.words})` : ""}`),
      part(["do", "Do this"], capital(worst.answer?.action ?? "look at it"), sentence(worst.answer?.reason ?? ""), open),
    );
  }
}

/** Why, how sure, what it gains, when to ignore it; and what else could be done. */
function others(advice, first) {
  if (!first) return null;
  const rest = advice.filter((each) => each.current !== false).slice(1);
  const words = rest.length ? `Why, and ${plural(rest.length, "other thing")} to do` : "Why";
  return h("details", { class: "others" }, h("summary", {}, words), h("div", { class: "cards" }, [first, ...rest].map((each, place) => card(each, { bare: place === 0 }))));
}

function facts(row, told) {
  const fact = (name, ...value) => h("div", { class: "fact" }, h("span", { class: "small" }, name), h("span", {}, value));
  const over = typeof row.final_loss === "number";
  return [
    fact("Progress", typeof row.progress === "number" ? progressBar(row.progress, "progress") : null, position(row)),
    told === "final" || told === "loss" ? null : fact(over ? "Ended at" : "Loss now", loss(over ? row.final_loss : row.last_loss)),
    row.forecast && told !== "forecast" ? fact("Will end at", loss(row.forecast.final_loss), h("span", { class: "muted" }, ` (80 %: ${interval(row.forecast.low, row.forecast.high)})`)) : null,
    row.gap
      ? fact("Against its law", row.gap.before_step ? `not known since step ${count(row.gap.before_step)}; before that ${row.gap.short}` : capital(row.gap.short), behindSign(row.gap.sentence, "How that was measured"))
      : null,
    row.not_measured?.length ? fact("Not measured", row.not_measured.join(", ")) : null,
  ];
}
