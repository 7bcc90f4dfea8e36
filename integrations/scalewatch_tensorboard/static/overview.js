// Overview: which of my runs needs me?

import { emptyState, h, replace } from "./dom.js";
import { count, plural } from "./format.js";
import { COLUMNS, compare, nameCell } from "./overview_columns.js";
import { Kept } from "./state.js";
import { matter, needs } from "./verdict.js";

const PAGE = 10;
/** Runs that are drawn in one picture at most. */
const MOST_TICKED = 9;
/** Rows that are drawn at first, and added with each press on “more”: a browser is slow with thousands. */
const ROWS = 200;
/** Names of rows on the screen that the server is told. */
const MOST_VISIBLE = 40;
/** So often a time of the past is told anew [ms]. */
const AGO_MS = 30_000;

/** The folder of a run with its slash, "" of one that lies at the top. */
const folderOf = (name) => name.slice(0, name.lastIndexOf("/") + 1);

/** What each word of a filter asks for, as a regular expression where it is one; null if one of them is broken. */
export function patterns(text) {
  try {
    return text.split(/\s+/).filter(Boolean).map((word) => new RegExp(word, "i"));
  } catch {
    return null;
  }
}

/** The table of all runs. */
export class Overview {
  constructor(app) {
    this.app = app;
    this.sort = { key: "verdict", up: false };
    this.kept = new Kept("scalewatch.overview", { extra: [], left: [], grouped: false, pinned: [], closed: [] });
    this.ticked = new Set();
    this.known = new Map();
    this.most = ROWS;
    this.focused = null;
    this.filter = h("input", {
      type: "search", placeholder: "Filter, e.g. lost or sweep.*lr3", "aria-label": "Filter runs by name or verdict; regular expressions work", on: { input: () => this.fill() },
    });
    this.grouped = h("input", { type: "checkbox", checked: this.kept.now.grouped, on: { change: () => this.keep({ grouped: this.grouped.checked }) } });
    this.columns = h("ul", {});
    this.chooser = h("details", { class: "picker columns", on: { keydown: (event) => { if (event.key === "Escape") this.chooser.open = false; } } }, h("summary", {}, "Columns"), h("div", { class: "pop" }, this.columns));
    document.addEventListener("pointerdown", (event) => { if (!this.chooser.contains(event.target)) this.chooser.open = false; });
    this.together = h("div", { class: "together", hidden: true });
    this.counted = h("p", { class: "counted", "aria-live": "polite" });
    this.head = h("tr", {});
    this.body = h("tbody", { on: { keydown: (event) => this.key(event), click: (event) => this.click(event) } });
    const caption = h("caption", { class: "unseen" }, "All runs below the log folder. Enter opens the run; arrow keys move between runs.");
    this.table = h("div", { class: "scroll" }, h("table", { class: "runs" }, caption, h("thead", {}, this.head), this.body));
    this.nothing = h("div", {});
    this.further = h("p", { class: "further", hidden: true });
    this.troubles = h("ul", { class: "notes troubles" });
    this.bar = h("div", { class: "bar-of-controls" }, this.filter, h("label", { class: "box" }, this.grouped, "Group by folder"), this.chooser, this.counted, this.together);
    this.element = h("div", { class: "overview" }, this.bar, this.table, this.further, this.nothing, this.troubles);
  }

  show() {
    this.fill();
  }

  keep(patch) {
    this.kept.set(patch);
    this.fill();
  }

  /** The columns that are shown: those that somebody chose, of those that any run has. */
  shown() {
    const { extra, left } = this.kept.now;
    return COLUMNS.filter(({ key, some, extra: more }) => (more ? extra.includes(key) : !left.includes(key)) && (!some || this.app.runs.some(some)));
  }

  fill() {
    const { runs } = this.app;
    const wanted = patterns(this.filter.value);
    this.filter.setAttribute("aria-invalid", String(wanted === null));
    // each by itself, so that ^ and $ are where a name begins and ends
    const texts = (row) => [row.name, `${matter(row)} ${row.headline ?? ""} ${row.stage}`];
    const kept = wanted === null ? runs.slice() : runs.filter((row) => wanted.every((word) => texts(row).some((text) => word.test(text))));
    const column = COLUMNS.find(({ key }) => key === this.sort.key);
    const pinned = new Set(this.kept.now.pinned);
    kept.sort((one, other) => pinned.has(other.name) - pinned.has(one.name) || compare(one, other, column, this.sort.up));
    const columns = this.shown();
    this.heads(columns);
    const held = this.body.contains(document.activeElement) ? document.activeElement.closest("tr")?.dataset.run : null;
    const place = held === null ? "" : document.activeElement.className;
    const rows = this.rows(kept.slice(0, this.most), columns, pinned);
    replace(this.body, rows);
    const stop = rows.find((row) => row.dataset.run === this.focused && this.focused) ?? rows.find((row) => row.dataset.run !== undefined);
    for (const row of rows) for (const each of row.querySelectorAll("button:not(.fold), input")) each.tabIndex = row === stop ? 0 : -1;
    if (held) rows.find((row) => row.dataset.run === held)?.querySelector(place ? `.${place}` : "button")?.focus();
    this.table.hidden = kept.length === 0;
    this.tellFurther(kept.length - this.most);
    this.tell(runs, kept, wanted === null);
    this.choose();
  }

  heads(columns) {
    const mark = JSON.stringify([columns.map(({ key }) => key), this.sort]);
    if (mark === this.headed) return;
    this.headed = mark;
    const held = this.head.contains(document.activeElement) ? document.activeElement.closest("th").dataset.key : null;
    replace(this.head, columns.map((column) => {
      const kind = column.numeric ? `${column.key} numeric` : column.key;
      if (!column.value) return h("th", { scope: "col", class: kind }, column.text);
      const order = this.sort.key !== column.key ? "none" : this.sort.up ? "ascending" : "descending";
      const arrow = h("span", { class: "arrow", "aria-hidden": "true" });
      const button = h("button", { type: "button", on: { click: () => this.sortBy(column) } }, column.numeric ? [arrow, column.text] : [column.text, arrow]);
      return h("th", { scope: "col", class: kind, "aria-sort": order, "data-key": column.key }, button);
    }));
    if (held) this.head.querySelector(`[data-key="${held}"] button`)?.focus();
  }

  sortBy(column) {
    const up = this.sort.key === column.key ? !this.sort.up : Boolean(column.up);
    this.sort = { key: column.key, up };
    this.fill();
    this.app.announce(`Sorted by ${column.text.toLowerCase()}, ${up ? "ascending" : "descending"}.`);
  }

  rows(kept, columns, pinned) {
    if (!this.kept.now.grouped) return kept.map((row) => this.row(row, columns, pinned, ""));
    const groups = new Map();
    for (const row of kept) {
      const folder = folderOf(row.name);
      if (!groups.has(folder)) groups.set(folder, []);
      groups.get(folder).push(row);
    }
    return [...groups].flatMap(([folder, rows]) => {
      const closed = this.kept.now.closed.includes(folder);
      return [this.group(folder, rows, columns.length, closed), ...(closed ? [] : rows.map((row) => this.row(row, columns, pinned, folder)))];
    });
  }

  group(folder, rows, width, closed) {
    const needy = rows.filter(needs).length;
    const flip = () => this.keep({ closed: closed ? this.kept.now.closed.filter((each) => each !== folder) : [...this.kept.now.closed, folder] });
    const fold = h("button", { type: "button", class: "fold", "aria-expanded": String(!closed), on: { click: flip } }, folder || "at the top");
    const words = `${plural(rows.length, "run")}${needy ? `, ${count(needy)} need${needy === 1 ? "s" : ""} you` : ""}`;
    return h("tr", { class: "group" }, h("th", { colspan: width, scope: "rowgroup" }, fold, h("span", { class: "muted" }, ` ${words}`)));
  }

  row(row, columns, pinned, folder) {
    const told = { folder, ticked: this.ticked.has(row.name), pinned: pinned.has(row.name) };
    const mark = JSON.stringify([row, told, columns.map(({ key }) => key), Math.floor(Date.now() / AGO_MS)]);
    const before = this.known.get(row.name);
    if (before?.mark === mark) return before.element;
    const cells = columns.slice(1).map(({ key, text, numeric, cell }) => h("td", { class: numeric ? `${key} numeric` : key, "data-head": text }, cell(row)));
    const element = h("tr", { class: row.open_incidents ? "open" : null }, nameCell(row, told), cells);
    element.dataset.run = row.name;
    this.known.set(row.name, { mark, element });
    return element;
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
    return [...this.body.rows].filter((row) => row.dataset.run !== undefined && inside(row.getBoundingClientRect())).slice(0, MOST_VISIBLE).map((row) => row.dataset.run);
  }

  tell(runs, kept, broken) {
    const open = kept.filter((row) => row.open_incidents > 0).length;
    const shown = kept.length === runs.length ? plural(runs.length, "run") : `${count(kept.length)} of ${plural(runs.length, "run")}`;
    const what = broken ? "That is no regular expression yet: all runs are shown." : `${shown}${open ? `, ${count(open)} with an open incident` : ""}`;
    this.counted.textContent = runs.length === 0 ? "" : what;
    this.bar.hidden = runs.length === 0;
    replace(this.troubles, this.app.troubles.map((trouble) => h("li", {}, trouble)));
    const ticked = [...this.ticked].filter((name) => this.app.row(name));
    this.together.hidden = ticked.length === 0;
    replace(
      this.together,
      h("button", { type: "button", class: "tool strong", on: { click: () => this.app.openRuns(ticked) } }, ticked.length === 1 ? "Open the ticked run" : `Compare ${count(ticked.length)} runs`),
      h("button", { type: "button", class: "tool", on: { click: () => { this.ticked.clear(); this.fill(); } } }, "Clear"),
    );
    if (kept.length > 0) return replace(this.nothing);
    const sentence = runs.length === 0 ? this.app.noRuns() : `No run matches “${this.filter.value}”. Clear the filter to see all ${count(runs.length)}.`;
    return replace(this.nothing, emptyState(sentence));
  }

  /** The list of columns to choose from, made once: somebody may be ticking it. */
  choose() {
    if (this.columns.firstChild) return;
    replace(this.columns, COLUMNS.slice(1).map(({ key, text, extra }) => {
      const name = extra ? "extra" : "left";
      const on = this.kept.now[name].includes(key) === Boolean(extra);
      const change = (event) => {
        const rest = this.kept.now[name].filter((each) => each !== key);
        this.keep({ [name]: event.target.checked === Boolean(extra) ? [...rest, key] : rest });
      };
      return h("li", {}, h("label", {}, h("input", { type: "checkbox", checked: on, on: { change } }), h("span", {}, text)));
    }));
  }

  click(event) {
    const name = event.target.closest("tr")?.dataset.run;
    if (name === undefined) return;
    if (event.target.closest(".tick")) this.tick(name, event.target.checked);
    else if (event.target.closest(".pin")) this.pin(name);
    else this.app.openRun(name);
  }

  tick(name, on) {
    if (on && this.ticked.size >= MOST_TICKED) this.app.say(`At most ${MOST_TICKED} runs are drawn in one picture.`);
    else if (on) this.ticked.add(name);
    else this.ticked.delete(name);
    this.focused = name;
    this.fill();
  }

  pin(name) {
    const rest = this.kept.now.pinned.filter((each) => each !== name);
    this.focused = name;
    this.keep({ pinned: rest.length < this.kept.now.pinned.length ? rest : [...rest, name] });
  }

  key(event) {
    const rows = [...this.body.rows].filter((row) => row.dataset.run !== undefined);
    const at = rows.indexOf(event.target.closest("tr"));
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE, Home: -rows.length, End: rows.length };
    if (!(event.key in steps) || at < 0) return;
    event.preventDefault();
    const to = Math.max(0, Math.min(rows.length - 1, at + steps[event.key]));
    for (const each of rows[at].querySelectorAll("button, input")) each.tabIndex = -1;
    for (const each of rows[to].querySelectorAll("button, input")) each.tabIndex = 0;
    rows[to].querySelector(".run-name").focus();
    this.focused = rows[to].dataset.run;
  }
}
