// Overview: which of my runs needs me?

import { emptyState, h, progressBar, replace } from "./dom.js";
import { count, DASH, interval, loss, percent, plural, shortened } from "./format.js";
import { spark } from "./spark.js";
import { badge, matter, needs, position, rank } from "./verdict.js";

const PAGE = 10;
/** Of a longer name the middle is left out; the whole one is its title. */
const NAME_LETTERS = 64;
/** Rows that are drawn at first, and added with each press on “more”: a browser is slow with thousands. */
const ROWS = 200;
/** Names of rows on the screen that the server is told. */
const MOST_VISIBLE = 40;

const gapSize = (row) => row.gap?.nats ?? null;

const COLUMNS = [
  { key: "name", text: "Run", value: (row) => row.name.toLowerCase(), up: true },
  { key: "verdict", text: "Verdict", value: (row) => rank(row) },
  { key: "progress", text: "Progress", value: (row) => row.progress ?? null },
  { key: "loss", text: "Loss now", value: (row) => row.last_loss, up: true, numeric: true },
  { key: "forecast", text: "Ends at", value: (row) => row.forecast?.final_loss ?? row.final_loss ?? null, up: true, numeric: true },
  { key: "gap", text: "Against its law", value: gapSize },
  { key: "incidents", text: "Incidents", value: (row) => row.open_incidents * 1e6 + row.incidents, numeric: true },
  { key: "curve", text: "Curve" },
];

function compare(one, other, column, up) {
  const a = column.value(one);
  const b = column.value(other);
  const missing = (value) => value === null || value === undefined || Number.isNaN(value);
  if (missing(a) || missing(b)) return Number(missing(a)) - Number(missing(b));
  const order = a < b ? -1 : a > b ? 1 : 0;
  if (order === 0 && column.key === "verdict" && needs(one)) return (other.seconds_last ?? 0) - (one.seconds_last ?? 0) || one.name.localeCompare(other.name);
  return order === 0 ? one.name.localeCompare(other.name) : up ? order : -order;
}

/** The table of all runs. */
export class Overview {
  constructor(app) {
    this.app = app;
    this.sort = { key: "verdict", up: false };
    this.known = new Map();
    this.most = ROWS;
    this.focused = null;
    this.filter = h("input", {
      type: "search", placeholder: "Filter by name or verdict", "aria-label": "Filter runs", on: { input: () => this.fill() },
    });
    this.counted = h("p", { class: "counted", "aria-live": "polite" });
    this.heads = COLUMNS.map((column) => this.head(column));
    this.body = h("tbody", { on: { keydown: (event) => this.key(event), click: (event) => this.click(event) } });
    this.table = h(
      "div",
      { class: "scroll" },
      h(
        "table",
        { class: "runs" },
        h("caption", { class: "unseen" }, "All runs below the log folder. Enter opens the run; arrow keys move between runs."),
        h("thead", {}, h("tr", {}, this.heads)),
        this.body,
      ),
    );
    this.nothing = h("div", {});
    this.further = h("p", { class: "further", hidden: true });
    this.troubles = h("ul", { class: "notes troubles" });
    this.element = h("div", { class: "overview" }, h("div", { class: "bar-of-controls" }, this.filter, this.counted), this.table, this.further, this.nothing, this.troubles);
  }

  head(column) {
    if (!column.value) return h("th", { scope: "col", class: column.key }, column.text);
    const arrow = h("span", { class: "arrow", "aria-hidden": "true" });
    const button = h("button", { type: "button", on: { click: () => this.sortBy(column) } }, column.numeric ? [arrow, column.text] : [column.text, arrow]);
    return h("th", { scope: "col", class: column.numeric ? `${column.key} numeric` : column.key }, button);
  }

  sortBy(column) {
    const up = this.sort.key === column.key ? !this.sort.up : Boolean(column.up);
    this.sort = { key: column.key, up };
    this.fill();
    this.app.announce(`Sorted by ${column.text.toLowerCase()}, ${up ? "ascending" : "descending"}.`);
  }

  show() {
    this.fill();
  }

  update() {
    this.fill();
  }

  fill() {
    const runs = this.app.runs;
    const wanted = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (row) => `${row.name} ${matter(row)} ${row.headline ?? ""} ${row.stage}`.toLowerCase();
    const kept = runs.filter((row) => wanted.every((word) => text(row).includes(word)));
    const column = COLUMNS.find(({ key }) => key === this.sort.key);
    kept.sort((one, other) => compare(one, other, column, this.sort.up));
    COLUMNS.forEach(({ key, value }, i) => {
      if (value) this.heads[i].setAttribute("aria-sort", key !== this.sort.key ? "none" : this.sort.up ? "ascending" : "descending");
    });
    const rows = kept.slice(0, this.most).map((row) => this.row(row));
    this.table.classList.toggle("no-gap", !runs.some((row) => row.gap));
    this.table.classList.toggle("no-forecast", !runs.some((row) => row.forecast || typeof row.final_loss === "number"));
    const held = this.body.contains(document.activeElement) ? document.activeElement.closest("tr")?.dataset.run : null;
    replace(this.body, rows);
    this.body.querySelectorAll("button").forEach((button) => { button.tabIndex = -1; });
    const stop = rows.find((row) => row.dataset.run === this.focused) ?? rows[0];
    if (stop) stop.querySelector("button").tabIndex = 0;
    if (held !== null) rows.find((row) => row.dataset.run === held)?.querySelector("button").focus();
    this.table.hidden = kept.length === 0;
    this.tellFurther(kept.length - rows.length);
    this.tell(runs, kept);
  }

  tellFurther(left) {
    this.further.hidden = left <= 0;
    if (left <= 0) return;
    const more = h("button", { type: "button", class: "tool", on: { click: () => { this.most += ROWS; this.fill(); } } }, `Show ${count(Math.min(left, ROWS))} more`);
    replace(this.further, more, ` ${plural(left, "run")} further down: filter or sort to bring them up.`);
  }

  /** Names of the rows on the screen, which the server reads before the others. */
  visible() {
    const inside = ({ top, bottom }) => bottom > 0 && top < window.innerHeight;
    return [...this.body.rows].filter((row) => inside(row.getBoundingClientRect())).slice(0, MOST_VISIBLE).map((row) => row.dataset.run);
  }

  tell(runs, kept) {
    const open = kept.filter((row) => row.open_incidents > 0).length;
    const shown = kept.length === runs.length ? plural(runs.length, "run") : `${count(kept.length)} of ${plural(runs.length, "run")}`;
    this.counted.textContent = runs.length === 0 ? "" : `${shown}${open ? `, ${count(open)} with an open incident` : ""}`;
    this.filter.parentElement.hidden = runs.length === 0;
    replace(this.troubles, this.app.troubles.map((trouble) => h("li", {}, trouble)));
    if (kept.length > 0) return replace(this.nothing);
    const sentence = runs.length === 0 ? this.app.noRuns() : `No run matches “${this.filter.value}”. Clear the filter to see all ${count(runs.length)}.`;
    return replace(this.nothing, emptyState(sentence));
  }

  row(row) {
    const mark = JSON.stringify(row);
    const before = this.known.get(row.name);
    if (before?.mark === mark) return before.element;
    const element = h("tr", { class: row.open_incidents ? "open" : null }, cells(row));
    element.dataset.run = row.name;
    this.known.set(row.name, { mark, element });
    return element;
  }

  click(event) {
    const row = event.target.closest("tr");
    if (row) this.app.openRun(row.dataset.run);
  }

  key(event) {
    const rows = [...this.body.rows];
    const at = rows.indexOf(event.target.closest("tr"));
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE, Home: -rows.length, End: rows.length };
    if (!(event.key in steps) || at < 0) return;
    event.preventDefault();
    const to = Math.max(0, Math.min(rows.length - 1, at + steps[event.key]));
    rows[at].querySelector("button").tabIndex = -1;
    const button = rows[to].querySelector("button");
    button.tabIndex = 0;
    button.focus();
    this.focused = rows[to].dataset.run;
  }
}

function cells(row) {
  const head = (key) => COLUMNS.find((column) => column.key === key).text;
  const place = (key, numeric, ...children) => h("td", { class: numeric ? `${key} numeric` : key, "data-head": head(key) }, children);
  const small = (text, title) => (text ? h("span", { class: "small", title }, text) : null);
  const name = h("button", { type: "button", class: "run-name", title: `${row.name}, read from its ${row.source}`, tabindex: -1 }, shortened(row.name || ".", NAME_LETTERS));
  const reading = row.stage === "reading" && row.read < 1;
  const done = typeof row.progress === "number";
  const incidents = row.open_incidents ? `${count(row.open_incidents)} open` : row.incidents ? count(row.incidents) : "0";
  const forecast = row.forecast;
  return [
    h("th", { scope: "row", class: "name" }, name),
    place("verdict", false, badge(row), small(matter(row), row.headline), needs(row) && row.answer?.action ? h("span", { class: "small act" }, `Do: ${row.answer.action}`) : null),
    place(
      "progress",
      false,
      reading ? [progressBar(row.read, "read"), small(`reading, ${percent(row.read)}`)] : [done ? progressBar(row.progress, "progress") : null, small(position(row))],
    ),
    place("loss", true, loss(row.last_loss)),
    place("forecast", true, loss(forecast ? forecast.final_loss : row.final_loss), forecast ? small(interval(forecast.low, forecast.high), "80 % interval of the forecast") : ended(row)),
    place("gap", false, row.gap ? gapWords(row.gap) : h("span", { class: "muted" }, DASH)),
    place("incidents", true, h("span", { class: row.open_incidents ? "count open" : "count" }, incidents), row.open_incidents && row.incidents > row.open_incidents ? small(`${count(row.incidents)} in all`) : null),
    place("curve", false, spark(row.spark ?? [], `Loss of ${row.name}`) ?? h("span", { class: "muted" }, DASH)),
  ];
}

function ended(row) {
  return typeof row.final_loss === "number" ? h("span", { class: "small", title: "The loss it ended at, smoothed" }, "it ended") : null;
}

function gapWords(gap) {
  if (gap.before_step) return h("span", { class: "muted", title: gap.sentence }, `unknown since step ${count(gap.before_step)}`);
  const [first, rest] = gap.short.split(/: | \(/);
  return h("span", { title: gap.sentence }, first, rest ? h("span", { class: "small" }, rest.replace(/\)$/, "")) : null);
}
