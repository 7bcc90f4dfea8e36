// Choosing runs: to look at, to draw beside, to hold against.

import { h, replace } from "./dom.js";
import { shortened } from "./format.js";

const MOST_COMPARED = 8;
/** Letters of a name in a list. */
const NAME_LETTERS = 40;

/** Options of a list of runs; `none` is the words for no run. */
function options(names, chosen, none) {
  const made = names.map((name) => h("option", { value: name, selected: name === chosen, title: name }, shortened(name || ".", NAME_LETTERS)));
  return none ? [h("option", { value: "", selected: chosen === null }, none), ...made] : made;
}

/** A list of which one run is chosen. */
export function runPicker(app) {
  const select = h("select", { id: "scalewatch-run", on: { change: () => app.state.set({ run: select.value }) } });
  let shown = null;
  const set = () => {
    const names = app.runs.map(({ name }) => name);
    const mark = JSON.stringify([names, app.state.now.run]);
    if (mark === shown) return;
    shown = mark;
    replace(select, options(names, app.state.now.run));
  };
  return { element: h("label", { class: "field" }, h("span", {}, "Run"), select), set };
}

/** A list of which one run may be the reference. */
export function referencePicker(app) {
  const change = () => app.state.set({ reference: select.value || null });
  const select = h("select", { on: { change } });
  let shown = null;
  const set = () => {
    const { run, reference } = app.state.now;
    const names = app.runs.map(({ name }) => name).filter((name) => name !== run);
    const mark = JSON.stringify([names, reference]);
    if (mark === shown) return;
    shown = mark;
    replace(select, options(names, reference, "none"));
  };
  return { element: h("label", { class: "field" }, h("span", {}, "Reference"), select), set };
}

/** A box of which up to eight runs are ticked to be drawn beside. */
export class ComparePicker {
  constructor(app) {
    this.app = app;
    this.summary = h("summary", {}, "Compare with …");
    this.filter = h("input", { type: "search", placeholder: "Filter", "aria-label": "Filter runs to compare", on: { input: () => this.fill() } });
    this.list = h("ul", {});
    this.hint = h("p", { class: "small" });
    this.element = h(
      "details",
      { class: "picker", on: { toggle: () => this.fill(), keydown: (event) => this.key(event) } },
      this.summary,
      h("div", { class: "pop" }, this.filter, this.list, this.hint),
    );
    document.addEventListener("pointerdown", (event) => {
      if (!this.element.contains(event.target)) this.element.open = false;
    });
  }

  key(event) {
    if (event.key !== "Escape" || !this.element.open) return;
    event.stopPropagation();
    this.element.open = false;
    this.summary.focus();
  }

  set() {
    const { compare } = this.app.state.now;
    const text = compare.length ? `Compared with ${compare.length}` : "Compare with …";
    if (this.summary.textContent !== text) this.summary.textContent = text;
    if (this.element.open) this.fill();
  }

  fill() {
    if (!this.element.open) return;
    const { run, compare } = this.app.state.now;
    const wanted = this.filter.value.toLowerCase();
    const names = this.app.runs.map(({ name }) => name).filter((name) => name !== run && name.toLowerCase().includes(wanted));
    const mark = JSON.stringify([names, compare]);
    if (mark === this.shown) return;
    this.shown = mark;
    const held = document.activeElement?.dataset?.run;
    const full = compare.length >= MOST_COMPARED;
    replace(
      this.list,
      names.map((name) => {
        const ticked = compare.includes(name);
        const box = h("input", { type: "checkbox", checked: ticked, disabled: full && !ticked, "data-run": name, on: { change: () => this.tick(name, box.checked) } });
        return h("li", {}, h("label", {}, box, h("span", {}, name || ".")));
      }),
    );
    if (held) [...this.list.querySelectorAll("input")].find((box) => box.dataset.run === held)?.focus();
    this.hint.textContent = names.length === 0 ? "There is no other run." : full ? `At most ${MOST_COMPARED} runs are drawn beside.` : "";
  }

  tick(name, on) {
    const rest = this.app.state.now.compare.filter((each) => each !== name);
    this.app.state.set({ compare: on ? [...rest, name].slice(0, MOST_COMPARED) : rest });
  }
}
