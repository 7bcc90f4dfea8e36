// One chart: its picture, its toolbar, its words for those who cannot see it, and zoom by mouse and keyboard.

import { ApiError, get } from "./api.js";
import { emptyState, h, replace } from "./dom.js";
import { vegaEmbed } from "./library.js";
import { Legend } from "./legend.js";
import { copied, fileName, save, tableOf } from "./take.js";

const LEAST_DRAG_PX = 6;
const ZOOM_STEP = 2;
const PAN_PART = 0.25;
const LEAST_WIDTH_PX = 320;
const WIDTH_STEP_PX = 20;
const SLOW_MS = 400;
/** Something that is not there yet is requested again: after so long at first, and at most. */
const AGAIN_MS = 1_500;
const AGAIN_AT_MOST_MS = 30_000;

/** Where a window from `low` to `high` lands when it is scaled about its middle and moved by a part of itself. */
export function moved([low, high], { scale = 1, shift = 0, log = false }) {
  const there = log && low > 0 ? Math.log : (value) => value;
  const back = log && low > 0 ? Math.exp : (value) => value;
  const middle = (there(low) + there(high)) / 2;
  const half = ((there(high) - there(low)) / 2) * scale;
  const away = shift * 2 * half;
  return [back(middle - half + away), back(middle + half + away)];
}

/** A chart that fetches its own specification. Options: label, onZoom, onIncident, onDrawn, rows. */
export class Chart {
  constructor(app, { label, onZoom, onIncident, onDrawn, rows }) {
    Object.assign(this, { app, label, onZoom, onIncident, onDrawn, rows });
    this.requested = null;
    this.spared = 0;
    this.over = Infinity;
    this.drawn = null;
    this.spec = null;
    this.view = null;
    this.legend = new Legend((sentence) => app.announce(sentence));
    this.picture = h("div", { class: "picture" });
    this.stage = h("div", { class: "stage", tabindex: 0, role: "img", "aria-label": `${label}. Not drawn yet.` }, this.picture);
    this.stage.addEventListener("keydown", (event) => this.key(event));
    this.status = h("p", { class: "chart-status", hidden: true });
    this.element = h("section", { class: "chart", "aria-label": label }, this.toolbar(), this.stage, this.status);
    new ResizeObserver(() => this.resized()).observe(this.element);
  }

  toolbar() {
    const button = (text, title, action) => {
      const made = h("button", { type: "button", class: "tool", title, on: { click: action } }, text);
      // what is said holds what is seen, or who speaks to the browser cannot call it
      if (title !== text) made.setAttribute("aria-label", title.includes(text) ? title : `${text} ${title}`);
      return made;
    };
    this.zooms = [];
    if (this.onZoom) {
      this.reset = button("Reset zoom", "Reset zoom", () => this.onZoom(null));
      this.zooms = [
        button("+", "Zoom in", () => this.step({ scale: 1 / ZOOM_STEP })),
        button("\u2212", "Zoom out", () => this.step({ scale: ZOOM_STEP })),
        this.reset,
      ];
    }
    const link = button("Copy link", "Copy link to what you see", async () => {
      const text = this.app.link();
      if (await copied(text)) this.app.announce("The link is on the clipboard.");
      else this.app.say(`Copy this link by hand: ${text}`);
    });
    this.takes = [
      button("PNG", "Save as PNG picture", () => this.takePicture("png")),
      button("SVG", "Save as SVG picture", () => this.takePicture("svg")),
      button("CSV", "Save the data as CSV", () => this.takeData("csv")),
      button("JSON", this.rows ? "Save the data as JSON" : "Save the chart and its data as JSON", () => this.takeData("json")),
      link,
    ];
    return h("div", { class: "tools", role: "group", "aria-label": `${this.label}: zoom and save` },
      h("span", { class: "tool-group" }, this.zooms), h("span", { class: "tool-group" }, this.takes));
  }

  /** Fetch and draw, if what is asked for or the run behind it changed. `version` changes when the run does. */
  async show(parameters, version) {
    const wanted = { ...parameters, dark: this.app.dark ? 1 : 0, width: this.width() };
    const key = JSON.stringify([wanted, version]);
    if (key === this.requested) return;
    clearTimeout(this.again);
    if (key !== this.empty) this.patience = AGAIN_MS;
    this.requested = key;
    this.shown = { parameters, version };
    this.pending?.abort();
    const mine = new AbortController();
    this.pending = mine;
    const slow = setTimeout(() => this.stage.classList.add("busy"), SLOW_MS);
    this.element.setAttribute("aria-busy", "true");
    try {
      const spec = await get("chart", wanted, mine.signal);
      if ("empty" in spec) this.wait(spec, key);
      else await this.draw(spec, mine.signal);
      this.tell(null);
    } catch (error) {
      if (mine.signal.aborted) return;
      this.requested = null;
      this.failed(error);
    } finally {
      clearTimeout(slow);
      if (this.pending === mine) {
        this.stage.classList.remove("busy");
        this.element.removeAttribute("aria-busy");
      }
    }
  }

  /** Say why there is nothing yet, and look again: a law may be fitted, a file read, without a row changing. */
  wait(answer, key) {
    this.nothing(answer.empty, answer.read);
    this.empty = key;
    this.again = setTimeout(() => {
      if (this.requested !== key || !this.element.isConnected || !this.app.host.seen()) return;
      this.requested = null;
      this.redraw();
    }, this.patience);
    this.patience = Math.min(2 * this.patience, AGAIN_AT_MOST_MS);
  }

  /** Draw again what was asked for last: for another theme or width. */
  redraw() {
    if (this.shown) this.show(this.shown.parameters, this.shown.version);
  }

  width() {
    const free = this.stage.clientWidth || this.lastWidth || 900;
    if (free !== this.lastWidth) Object.assign(this, { spared: 0, over: Infinity });
    this.lastWidth = free;
    return Math.max(LEAST_WIDTH_PX, Math.floor((free - this.spared) / WIDTH_STEP_PX) * WIDTH_STEP_PX);
  }

  resized() {
    if (!this.shown || this.stage.clientWidth === 0 || !this.app.host.seen()) return;
    clearTimeout(this.resizing);
    this.resizing = setTimeout(() => this.redraw(), 200);
  }

  async draw(spec, signal) {
    const embed = await vegaEmbed();
    if (signal.aborted) return;
    // drawn beside the old picture and then put in its place, so that an update does not flicker
    const next = h("div", { class: "picture" });
    // a canvas: what the pointer is near to is thousands of shapes, each of them an element in SVG
    const made = await embed(next, spec, { actions: false, renderer: "canvas", ast: false, tooltip: { theme: this.app.dark ? "dark" : "light" } });
    if (signal.aborted) {
      made.finalize();
      return;
    }
    this.finalize?.();
    this.finalize = () => made.finalize();
    this.view = made.view;
    this.spec = spec;
    this.picture.replaceWith(next);
    this.picture = next;
    // for tests, and for whoever opens the console
    next.view = made.view;
    const meta = spec.usermeta?.scalewatch ?? {};
    this.domain = meta.domain ?? null;
    if (!meta.zoomed) this.fullDomain = this.domain;
    this.stage.setAttribute("aria-label", meta.sentence ?? this.label);
    this.stage.classList.toggle("zoomed", Boolean(meta.zoomed));
    if (this.reset) this.reset.disabled = !meta.zoomed;
    for (const tool of this.takes) tool.disabled = false;
    this.legend.take(made.view, meta.keys ?? []);
    this.listen();
    this.onDrawn?.(meta);
    this.app.drawn(this.label);
    this.fit();
  }

  /** Where words are wider than was thought the picture is scaled to its room, and the pointer misses its marks: ask for a narrower one. */
  fit() {
    const wide = this.picture.querySelector("canvas").width / window.devicePixelRatio;
    const over = this.stage.clientWidth > 0 ? wide - this.stage.clientWidth : 0;
    const helped = over < this.over;
    this.over = over > 1 ? over : Infinity;
    if (over <= 1 || !helped) return;
    this.spared += Math.max(WIDTH_STEP_PX, Math.ceil(over));
    this.redraw();
  }

  listen() {
    const view = this.view;
    let brushed = null;
    if (this.onZoom) {
      try {
        view.addSignalListener("zoom", (_name, value) => {
          const edges = Object.values(value ?? {}).find((each) => Array.isArray(each) && each.length === 2);
          brushed = edges ? edges.map(Number).sort((a, b) => a - b) : null;
        });
      } catch {
        // a chart without that signal is not zoomed by dragging
      }
      let began = null;
      this.picture.addEventListener("pointerdown", (event) => { began = event.clientX; });
      this.picture.addEventListener("pointerup", (event) => {
        const far = began !== null && Math.abs(event.clientX - began) >= LEAST_DRAG_PX;
        began = null;
        // the drawing library hears of the last movement after us
        setTimeout(() => {
          if (far && brushed && brushed[1] > brushed[0] && this.view === view) this.onZoom(brushed);
        }, 60);
      });
      this.picture.addEventListener("dblclick", () => { if (!this.legend.pointed) this.onZoom(null); });
    }
    if (this.onIncident) {
      view.addEventListener("click", (_event, item) => {
        const index = item?.datum?.incident;
        if (typeof index === "number") this.onIncident(index);
      });
    }
  }

  key(event) {
    if (!this.onZoom || event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      "+": () => this.step({ scale: 1 / ZOOM_STEP }),
      "=": () => this.step({ scale: 1 / ZOOM_STEP }),
      "-": () => this.step({ scale: ZOOM_STEP }),
      ArrowLeft: () => this.step({ shift: -PAN_PART }),
      ArrowRight: () => this.step({ shift: PAN_PART }),
      Escape: () => this.onZoom(null),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  step(change) {
    const { from, to, xscale } = this.app.state.now;
    const shown = from !== null && to !== null ? [from, to] : this.domain;
    if (!shown) return;
    const wanted = moved(shown, { ...change, log: xscale === "log" });
    const full = this.fullDomain ?? shown;
    if (change.scale > 1 && wanted[0] <= full[0] && wanted[1] >= full[1]) this.onZoom(null);
    else this.onZoom(wanted);
  }

  nothing(sentence, read) {
    this.clear();
    replace(this.picture, emptyState(sentence, read));
    this.stage.setAttribute("aria-label", sentence);
  }

  failed(error) {
    const sentence = error instanceof Error ? error.message : String(error);
    // what was drawn stays: an old picture with a word beside it tells more than none
    if (error instanceof ApiError && error.fault === "refused") this.nothing(sentence);
    else this.tell(this.view ? `${sentence} The picture is from before.` : sentence);
  }

  tell(sentence) {
    this.status.hidden = !sentence;
    replace(this.status, sentence ?? "");
  }

  clear() {
    this.finalize?.();
    this.finalize = null;
    this.view = null;
    this.spec = null;
    this.domain = null;
    for (const tool of this.takes.slice(0, 4)) tool.disabled = true;
    if (this.reset) this.reset.disabled = !(this.app.state.now.from !== null);
    replace(this.picture);
  }

  file(extension) {
    return `${fileName(this.app.state.now.run, this.shown?.parameters.chart)}.${extension}`;
  }

  async takePicture(kind) {
    if (!this.view) return;
    if (kind === "svg") {
      save(this.file("svg"), await this.view.toSVG(), "image/svg+xml");
    } else {
      const canvas = await this.view.toCanvas(2);
      canvas.toBlob((blob) => save(this.file("png"), blob), "image/png");
    }
  }

  async takeData(format) {
    if (!this.spec) return;
    try {
      if (this.rows) {
        save(this.file(format), await this.rows(format), format === "csv" ? "text/csv" : "application/json");
      } else if (format === "csv") {
        save(this.file("csv"), tableOf(this.spec), "text/csv");
      } else {
        save(this.file("json"), JSON.stringify(this.spec), "application/json");
      }
    } catch (error) {
      this.tell(error.message);
    }
  }
}
