// The verdict on a run: never by colour alone.

import { h, s } from "./dom.js";

const LEVELS = {
  healthy: { text: "Healthy", path: "M3.5 8.5l3 3 6-7" },
  past: { text: "Had trouble", path: "M8 4v4.5l3 2M8 1.8a6.2 6.2 0 1 0 .01 0" },
  trouble: { text: "In trouble", path: "M8 2.5l6 11H2zM8 7v3M8 11.6v.4" },
  lost: { text: "Lost", path: "M4 4l8 8M12 4l-8 8" },
  reading: { text: "Reading", path: "M8 2.5v7M5 7l3 3 3-3M3 13h10" },
  waiting: { text: "Waiting", path: "M4.5 8h.01M8 8h.01M11.5 8h.01" },
  failed: { text: "Unreadable", path: "M8 4v5M8 11.6v.4M8 1.8a6.2 6.2 0 1 0 .01 0" },
};

/** How bad a row of the overview is, for sorting: the worst has the highest number. */
export function rank(row) {
  return ["failed", "waiting", "reading", "healthy", "past", "trouble", "lost"].indexOf(level(row));
}

function level(row) {
  if (row.stage === "failed" || !row.rows) return row.stage in LEVELS ? row.stage : "waiting";
  // what is not read yet is not healthy yet
  if (row.level === "healthy" && row.stage === "reading" && row.read < 1) return "reading";
  return row.level in LEVELS ? row.level : "healthy";
}

/** What the headline adds to the badge: "IN TROUBLE: spike since step 167" adds "spike since step 167". */
export function headline(row) {
  const { text } = LEVELS[level(row)];
  if (level(row) === "reading") return "no trouble so far";
  const whole = row.headline ?? "";
  if (!whole.toLowerCase().startsWith(text.toLowerCase())) return whole;
  return whole.slice(text.length).replace(/^[\s:,]+/, "");
}

/** A badge with a sign and a word. */
export function badge(row) {
  const key = level(row);
  const { text, path } = LEVELS[key];
  const sign = s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: path }));
  return h("span", { class: `badge ${key}` }, sign, text);
}

/** How far a run is, in words. */
export function position(row) {
  const steps = new Intl.NumberFormat("en-US").format(row.step ?? 0);
  if (row.total_steps) return `step ${steps} of ${new Intl.NumberFormat("en-US").format(row.total_steps)}`;
  return `step ${steps}`;
}
