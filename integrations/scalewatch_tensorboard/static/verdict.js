// The verdict on a run: never by colour alone.

import { h, s } from "./dom.js";
import { count, percent } from "./format.js";

const LEVELS = {
  healthy: { text: "Healthy", path: "M3.5 8.5l3 3 6-7" },
  over: { text: "Over", path: "M4 2.5v11M4 3h8l-2 2.8 2 2.7H4" },
  unknown: { text: "Cannot tell", path: "M5.5 6a2.5 2.5 0 1 1 3.4 2.3c-.6.3-.9.7-.9 1.4M8 12.2v.3" },
  past: { text: "Recovered", path: "M8 4v4.5l3 2M8 1.8a6.2 6.2 0 1 0 .01 0" },
  trouble: { text: "In trouble", path: "M8 2.5l6 11H2zM8 7v3M8 11.6v.4" },
  lost: { text: "Lost", path: "M4 4l8 8M12 4l-8 8" },
  glanced: { text: "Quiet at its end", path: "M3 8h10M10 5l3 3-3 3" },
  reading: { text: "Replaying", path: "M8 2.5v7M5 7l3 3 3-3M3 13h10" },
  waiting: { text: "Waiting", path: "M4.5 8h.01M8 8h.01M11.5 8h.01" },
  failed: { text: "Unreadable", path: "M8 4v5M8 11.6v.4M8 1.8a6.2 6.2 0 1 0 .01 0" },
};
const ORDER = ["waiting", "glanced", "reading", "over", "healthy", "unknown", "past", "failed", "trouble", "lost"];

/** How much a run needs somebody, for sorting: the worst first, of those alike the one that still goes on. */
export function rank(row) {
  return 2 * ORDER.indexOf(level(row)) + Number(row.stage !== "finished");
}

/** Whether somebody has to look at a run. */
export function needs(row) {
  return ["trouble", "lost"].includes(level(row));
}

/** Which of the words above a run has. */
export function level(row) {
  if (row.stage === "failed" || !row.rows) return row.stage in LEVELS ? row.stage : "waiting";
  if (row.stage === "glanced" && row.level === "healthy") return "glanced";
  // what is not read yet is not healthy yet
  if (["healthy", "over", "unknown"].includes(row.level) && replaying(row)) return "reading";
  return row.level in LEVELS ? row.level : "unknown";
}

/** Whether its log is still being read. */
export function replaying(row) {
  return row.stage === "reading" && row.read < 1;
}

/** Whether a page was told before its log was read as far as the row of the run is. */
export function behind(detail, row) {
  return detail.read < 1 || detail.step < (row?.step ?? 0);
}

/** What is the matter, and since when. */
export function matter(row) {
  const key = level(row);
  if (key === "reading") return "No trouble so far";
  if (["failed", "waiting"].includes(key)) return row.headline ?? "";
  return row.answer?.what ?? row.headline ?? "";
}

/** A badge with a sign and a word. */
export function badge(row) {
  const key = level(row);
  const { text, path } = LEVELS[key];
  const sign = s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: path }));
  return h("span", { class: `badge ${key}` }, sign, replaying(row) && key === "reading" ? `${text} ${percent(row.read)}` : text);
}

/** How far a run is, in words. */
export function position(row) {
  return row.total_steps ? `step ${count(row.step ?? 0)} of ${count(row.total_steps)}` : `step ${count(row.step ?? 0)}`;
}
