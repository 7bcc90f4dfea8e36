// The columns of the overview: what each holds of a run, and how it is sorted.

import { h, progressBar } from "./dom.js";
import { ago, count, DASH, duration, interval, loss, shortened } from "./format.js";
import { spark } from "./spark.js";
import { badge, matter, needs, position, rank, replaying } from "./verdict.js";

/** Of a longer name the middle is left out; the whole one is its title. */
const NAME_LETTERS = 64;

const small = (text, title) => (text ? h("span", { class: "small", title }, text) : null);
const dash = () => h("span", { class: "muted" }, DASH);
const ending = (row) => row.forecast?.final_loss ?? row.final_loss ?? null;

/** Each column: its key and title, the `value` it is sorted by (`up`: the least first), its cell, `some`: whether any
 *  run has it, `extra`: shown only to whoever chose it. */
export const COLUMNS = [
  { key: "name", text: "Run", value: (row) => row.name.toLowerCase(), up: true },
  { key: "verdict", text: "Verdict", value: rank, cell: verdict },
  { key: "progress", text: "Progress", value: (row) => row.progress ?? null, cell: progress },
  { key: "loss", text: "Loss now", value: (row) => row.last_loss, up: true, numeric: true, cell: (row) => loss(row.last_loss) },
  { key: "forecast", text: "Ends at", value: ending, up: true, numeric: true, some: (row) => ending(row) !== null, cell: forecast },
  { key: "final", text: "Final loss", value: (row) => row.final_loss ?? null, up: true, numeric: true, extra: true, cell: (row) => loss(row.final_loss) },
  { key: "gap", text: "Against its law", value: (row) => row.gap?.nats ?? null, some: (row) => row.gap, cell: (row) => (row.gap ? gap(row.gap) : dash()) },
  { key: "incidents", text: "Incidents", value: (row) => row.open_incidents * 1e6 + row.incidents, numeric: true, cell: incidents },
  { key: "updated", text: "Last row", value: (row) => row.seconds_last, numeric: true, extra: true, cell: (row) => ago(row.seconds_last) },
  { key: "duration", text: "Duration", value: (row) => row.duration, numeric: true, extra: true, cell: (row) => duration(row.duration) },
  { key: "curve", text: "Curve", cell: (row) => spark(row.spark ?? [], `Loss of ${row.name}`) ?? dash() },
];

/** Which of two runs comes first in the order of a column; what has no value comes last either way. */
export function compare(one, other, column, up) {
  const a = column.value(one);
  const b = column.value(other);
  const missing = (value) => value === null || value === undefined || Number.isNaN(value);
  if (missing(a) || missing(b)) return Number(missing(a)) - Number(missing(b));
  if (a !== b) return (a < b ? -1 : 1) * (up ? 1 : -1);
  const newest = column.key === "verdict" && needs(one) ? (other.seconds_last ?? 0) - (one.seconds_last ?? 0) : 0;
  return newest || one.name.localeCompare(other.name, "en", { numeric: true });
}

/** The first cell of a row: a tick box, its name, and the sign by which it is kept on top. `folder` is told already. */
export function nameCell(row, { folder, ticked, pinned }) {
  const shown = row.name.slice(folder.length) || ".";
  const sign = h("button", { type: "button", class: "pin", "aria-pressed": String(pinned), title: pinned ? "No longer keep on top" : "Keep on top", "aria-label": `Keep ${row.name} on top`, tabindex: -1 });
  return h(
    "th",
    { scope: "row", class: "name" },
    h("input", { type: "checkbox", class: "tick", checked: ticked, "aria-label": `Tick ${row.name} to compare it`, tabindex: -1 }),
    h("button", { type: "button", class: "run-name", title: `${row.name}, read from its ${row.source}`, tabindex: -1 }, shortened(shown, NAME_LETTERS)),
    sign,
  );
}

function verdict(row) {
  return [badge(row), small(matter(row), row.headline), needs(row) && row.answer?.action ? h("span", { class: "small act" }, `Do: ${row.answer.action}`) : null];
}

function progress(row) {
  if (replaying(row)) return progressBar(row.read, "read");
  return [typeof row.progress === "number" ? progressBar(row.progress, "progress") : null, small(position(row))];
}

function forecast(row) {
  const ends = row.forecast ? small(interval(row.forecast.low, row.forecast.high), "80 % interval of the forecast") : null;
  return [loss(ending(row)), ends ?? (typeof row.final_loss === "number" ? small("it ended", "The loss it ended at, smoothed") : null)];
}

function incidents(row) {
  const open = row.open_incidents;
  const words = open ? `${count(open)} open` : count(row.incidents);
  return [h("span", { class: open ? "count open" : "count" }, words), open && row.incidents > open ? small(`${count(row.incidents)} in all`) : null];
}

function gap(gap) {
  if (gap.before_step) return h("span", { class: "muted", title: gap.sentence }, `unknown since step ${count(gap.before_step)}`);
  const [first, rest] = gap.short.split(/: | \(/);
  return h("span", { title: gap.sentence }, first, rest ? small(rest.replace(/\)$/, "")) : null);
}
