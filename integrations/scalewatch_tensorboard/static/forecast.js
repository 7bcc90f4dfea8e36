// Forecast: where will it end, how sure is that, and what if the rest were scheduled otherwise?

import { get } from "./api.js";
import { Chart } from "./chart.js";
import { emptyState, h, replace, table } from "./dom.js";
import { count, DASH, interval, loss, sentence, signed } from "./format.js";
import { scheduleForm } from "./schedule_form.js";

const LEVELS = ["50", "80", "95"];

/** Steps out of "5000", "5k" or "25 %" of `whole`; null if it says nothing, NaN if it is not understood. */
export function steps(text, whole) {
  const plain = text.trim().toLowerCase();
  if (plain === "") return null;
  const found = /^([0-9]*\.?[0-9]+)\s*(%|k|m)?$/.exec(plain);
  if (!found) return NaN;
  const size = { "%": (whole ?? NaN) / 100, k: 1e3, m: 1e6 }[found[2]] ?? 1;
  return Math.round(Number(found[1]) * size);
}

/** How the forecast moved, its intervals, and other schedules. */
export class ForecastPanel {
  constructor(app) {
    this.app = app;
    this.chart = new Chart(app, { label: "How the forecast moved" });
    this.other = new Chart(app, { label: "What if the rest were scheduled otherwise" });
    this.schedule = scheduleForm(app, { open: true });
    this.intervals = h("div", {});
    this.outcomes = h("div", { "aria-live": "polite" });
    this.element = h(
      "div",
      { class: "forecast-panel" },
      this.schedule.element,
      h("div", { class: "beside" }, h("div", { class: "wide" }, this.chart.element), h("aside", { "aria-label": "Forecast" }, h("h2", {}, "Where it will end"), this.intervals)),
      this.whatIf(),
    );
  }

  /** Other schedules: hidden while nothing can be said of them, for the run is lost. */
  whatIf() {
    this.rest = h(
      "section",
      { "aria-label": "What if" },
      h("h2", {}, "What if"),
      h("p", { class: "lead" }, "Other schedules for the rest of the run, each compared with the plan. Errors that both share cancel, so differences are surer than the losses."),
      this.form(),
      h("div", { class: "beside outcome" }, h("div", { class: "wide" }, this.other.element), h("aside", { "aria-label": "Outcomes" }, h("h2", {}, "Outcomes"), this.outcomes)),
    );
    return this.rest;
  }

  form() {
    const field = (name, label, placeholder, help) => {
      const input = h("input", { type: "text", inputmode: "decimal", placeholder, title: help, maxlength: 20 });
      this.fields[name] = input;
      return h("label", { class: "field" }, h("span", {}, label), input);
    };
    this.fields = {};
    this.fault = h("p", { class: "fault", role: "alert", hidden: true });
    const clear = () => {
      for (const input of Object.values(this.fields)) input.value = "";
      this.app.state.set({ extend: null, decay: null, rate: null, at: null });
    };
    return h(
      "form",
      { class: "what-if", on: { submit: (event) => this.ask(event) } },
      field("extend", "Train longer by", "5000 or 25 %", "Steps, or a part of the planned length"),
      field("decay", "Decay over the last", "2000 or 20 %", "Hold the learning rate, then let it fall to zero over so many steps"),
      field("rate", "Learning rate times", "0.5", "Factor on the planned learning rate from now on"),
      field("at", "Looked at from step", "newest", "An earlier step, to see what would have been said then"),
      h("button", { type: "submit", class: "tool strong" }, "Compare"),
      h("button", { type: "button", class: "tool", on: { click: clear } }, "Usual alternatives"),
      this.fault,
    );
  }

  ask(event) {
    event.preventDefault();
    const whole = this.detail?.total_steps ?? this.detail?.planned?.total_steps;
    const value = (name) => this.fields[name].value;
    const factor = value("rate").trim() === "" ? null : Number(value("rate"));
    const request = { extend: steps(value("extend"), whole), decay: steps(value("decay"), whole), rate: factor, at: steps(value("at"), whole) };
    const wrong = Object.entries(request).find(([, each]) => each !== null && !(each > 0));
    this.fault.hidden = !wrong;
    if (wrong) {
      const meant = wrong[0] === "rate" ? "a factor above 0, such as 0.5" : "a number of steps above 0, such as 5000, or a part, such as 25 %";
      this.fault.textContent = `“${this.fields[wrong[0]].value}” is not understood: write ${meant}.`;
      this.fields[wrong[0]].focus();
      return;
    }
    this.app.state.set(Object.fromEntries(Object.entries(request).map(([name, each]) => [name, each === null ? null : String(each)])));
  }

  show() {
    const { run, at, extend, decay, rate } = this.app.state.now;
    const version = this.app.version(run);
    const request = { run, at, extend, decay, rate, ...this.app.guess() };
    this.chart.show({ chart: "forecast", run, ...this.app.guess() }, version);
    this.other.show({ chart: "whatif", ...request }, version);
    for (const [name, input] of Object.entries(this.fields)) {
      if (document.activeElement !== input) input.value = this.app.state.now[name] ?? "";
    }
    this.compare(request, version);
  }

  /** Other schedules as of the last step before an incident. */
  lookBack(detail) {
    const since = Math.min(...(detail.open ?? []).map(({ start_step: step }) => step));
    if (since > 1 && Number.isFinite(since)) this.app.state.set({ at: String(since - 1) });
    this.rest.hidden = false;
  }

  async compare(request, version) {
    const key = JSON.stringify([request, version]);
    if (key === this.request) return;
    this.request = key;
    this.pending?.abort();
    const mine = new AbortController();
    this.pending = mine;
    try {
      const answer = await get("whatif", request, mine.signal);
      this.fill(answer);
    } catch (error) {
      if (mine.signal.aborted) return;
      this.request = null;
      replace(this.outcomes, emptyState(error.message));
    }
  }

  fill(answer) {
    const outcomes = answer.outcomes ?? [];
    if (answer.empty || outcomes.length === 0) {
      replace(this.outcomes, emptyState(answer.empty ?? "Nothing to compare yet: a forecast is needed first, and that needs a planned length."));
      return;
    }
    const columns = [
      { text: "Schedule" }, { text: "Ends at step", numeric: true }, { text: "Loss", numeric: true },
      { text: "Against the plan", numeric: true }, { text: "Evidence" },
    ];
    const rows = outcomes.map((each) => [
      each.name,
      count(each.total_steps),
      [loss(each.final_loss), h("span", { class: "small" }, interval(each.low, each.high))],
      !each.difference
        ? DASH
        : [signed(each.difference), h("span", { class: "small" }, `${signed(each.difference_low)} to ${signed(each.difference_high)}`)],
      each.evidence_grade ? h("span", { class: "grade", title: gradeWords(each.evidence_grade) }, each.evidence_grade) : DASH,
    ]);
    const notes = [...new Set([...(answer.notes ?? []), ...outcomes.flatMap((each) => each.notes ?? [])])];
    replace(
      this.outcomes,
      table({ caption: "Loss at the end under each schedule, with 80 % intervals; below zero is better than the plan", columns, rows, hiddenCaption: false }),
      notes.length ? h("ul", { class: "notes" }, notes.map((note) => h("li", {}, note))) : null,
    );
  }

  tell(detail) {
    this.detail = detail;
    this.schedule.tell(detail);
    // an earlier step can still be looked back to, if somebody asks for one
    this.rest.hidden = suspended(detail) && this.app.state.now.at === null;
    const forecast = detail.forecast;
    if (!forecast && typeof detail.final_loss === "number") {
      const promised = registered(detail.registered);
      replace(
        this.intervals,
        h("p", { class: "big" }, loss(detail.final_loss), h("span", {}, " it ended")),
        promised ? [h("h3", {}, "Registered before the run"), h("p", {}, promised)] : null,
      );
      return;
    }
    if (!forecast && detail.no_forecast) {
      const look = h("button", { type: "button", class: "tool", on: { click: () => this.lookBack(detail) } }, "What was said before that");
      replace(this.intervals, h("p", { class: "big" }, suspended(detail) ? "Suspended" : "None"), h("p", {}, sentence(detail.no_forecast)), suspended(detail) ? look : null);
      return;
    }
    if (!forecast) {
      replace(this.intervals, emptyState("No forecast yet. It needs the planned length and a learning rate schedule, and rows past the warm-up."));
      return;
    }
    const rows = LEVELS.filter((level) => forecast.intervals?.[level]).map((level) => {
      const [low, high] = forecast.intervals[level];
      return [`${level} %`, loss(low), loss(high)];
    });
    const held = registered(detail.registered);
    const notes = forecast.notes ?? [];
    replace(
      this.intervals,
      h("p", { class: "big" }, loss(forecast.final_loss), h("span", {}, ` at step ${count(forecast.total_steps)}`)),
      table({ caption: "Intervals", columns: [{ text: "Holds the truth in" }, { text: "From", numeric: true }, { text: "To", numeric: true }], rows }),
      forecast.schedule_known === false ? h("p", { class: "note" }, "The schedule of the rest is not known, so the intervals are wide.") : null,
      weights(forecast.laws),
      held ? [h("h3", {}, "Registered before the run"), h("p", {}, held)] : null,
      notes.length ? h("ul", { class: "notes" }, notes.map((note) => h("li", {}, note))) : null,
    );
  }
}

/** Whether an incident keeps a run from being forecast. */
function suspended(detail) {
  return /^suspended/.test(detail.no_forecast ?? "");
}

/** The laws that compete for the forecast, those that count for a percent or more. */
function weights(laws) {
  const shown = Object.entries(laws ?? {}).filter(([, weight]) => weight >= 0.01);
  if (!shown.length) return null;
  const rows = shown.map(([name, weight]) => [name, `${Math.round(100 * weight)} %`]);
  return [h("h3", {}, "Laws"), table({ caption: "Laws by weight", columns: [{ text: "Law" }, { text: "Weight", numeric: true }], rows })];
}

function registered(baseline) {
  if (!baseline) return null;
  if (baseline.sentence) return baseline.sentence;
  const low = baseline.low ?? baseline.intervals?.["80"]?.[0];
  const high = baseline.high ?? baseline.intervals?.["80"]?.[1];
  return `${loss(baseline.final_loss)} (80 %: ${interval(low, high)})`;
}

/** What a grade of evidence means, as scalewatch/advice.py defines it. */
export function gradeWords(grade) {
  return {
    A: "A: measured by controlled comparison in several published runs",
    B: "B: reported by people who trained large models, or predicted by a law that was calibrated on real runs",
    C: "C: practitioners' habit",
  }[grade] ?? grade;
}
