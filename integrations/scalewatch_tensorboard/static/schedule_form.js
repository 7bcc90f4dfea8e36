// A guess at the schedule of a run whose log does not tell it: without one nothing can be forecast.

import { h } from "./dom.js";

const SCHEDULES = [
  ["", "as logged"],
  ["cosine", "cosine"],
  ["linear", "linear"],
  ["wsd", "constant, then decay"],
  ["constant", "constant"],
  ["unknown", "unknown"],
];

/** A small form, folded unless `open`; shown where the schedule is unknown or was guessed. */
export function scheduleForm(app, { open = false } = {}) {
  const total = h("input", { type: "number", min: 1, step: 1, inputmode: "numeric", placeholder: "e.g. 20000" });
  const schedule = h("select", {}, SCHEDULES.map(([value, text]) => h("option", { value }, text)));
  const apply = (event) => {
    event.preventDefault();
    app.state.set({ total_steps: total.value || null, schedule: schedule.value || null });
  };
  const clear = h("button", { type: "button", class: "tool", on: { click: () => app.state.set({ total_steps: null, schedule: null }) } }, "Forget my guess");
  const form = h(
    "form",
    { on: { submit: apply } },
    h("p", {}, "Say it here to get a forecast. The link keeps your guess; the log stays as it is."),
    h("label", { class: "field" }, h("span", {}, "Planned steps"), total),
    h("label", { class: "field" }, h("span", {}, "Learning rate"), schedule),
    h("button", { type: "submit", class: "tool" }, "Use this schedule"),
    clear,
  );
  const summary = h("summary", {});
  const element = h("details", { class: "guess", hidden: true, open }, summary, form);
  const tell = (detail) => {
    const { total_steps: guess, schedule: shape } = app.state.now;
    const guessed = guess !== null || shape !== null;
    const unknown = !detail.total_steps && detail.rows > 0;
    element.hidden = !(guessed || unknown);
    clear.hidden = !guessed;
    summary.textContent = guessed ? "The schedule of this run is your guess." : "This log does not say how long the run is to be.";
    if (!element.contains(document.activeElement)) {
      total.value = guess ?? "";
      schedule.value = shape ?? "";
    }
  };
  return { element, tell };
}
