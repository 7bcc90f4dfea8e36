// Incidents: the worst first, alike ones together, notes folded; each with the whole explanation behind it.

import { emptyState, h, replace, table } from "./dom.js";
import { capital, count, evidence, measured, plural, sentence, words } from "./format.js";

const RANK = ["info", "warning", "critical"];
/** So many incidents of one kind and weight stand together from here on. */
const MANY = 4;
/** With no more incidents than this the worst one is open from the start. */
const FEW = 4;
/** Incidents of one group that are listed, the newest: of more nobody reads each. */
const MOST_LISTED = 100;
const READING = "None so far, but the run is still being read.";
const SEVERITY = { info: "Note", warning: "Warning", critical: "Critical" };

/** Findings joined to incidents: what opened, got worse and closed is one. Keeps the places of the findings. */
export function joined(findings) {
  const made = [];
  const open = new Map();
  findings.forEach((finding, at) => {
    const index = finding.index ?? at;
    const running = open.get(finding.kind);
    if (finding.phase !== "opened" && running) {
      running.findings.push(finding);
      running.indexes.push(index);
      if (finding.phase === "closed") open.delete(finding.kind);
      return;
    }
    const incident = { kind: finding.kind, findings: [finding], indexes: [index] };
    made.push(incident);
    if (finding.phase !== "closed") open.set(finding.kind, incident);
  });
  for (const incident of made) {
    const severities = incident.findings.map(({ severity }) => RANK.indexOf(severity));
    incident.severity = RANK[Math.max(0, ...severities)];
    incident.name = incident.findings[0].name;
    incident.first = incident.findings[0].start_step;
    incident.last = incident.findings.at(-1).step;
    incident.closed = incident.findings.at(-1).phase === "closed";
    incident.key = `${incident.kind}@${incident.findings[0].step}`;
  }
  return made;
}

/** The worst first, of those alike the newest; groups of one kind where there are many of it. */
export function sorted(incidents) {
  const by = (one, other) => RANK.indexOf(other.severity) - RANK.indexOf(one.severity) || other.first - one.first;
  const groups = new Map();
  for (const incident of [...incidents].sort(by)) {
    const key = `${incident.severity} ${incident.kind}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(incident);
  }
  return [...groups.entries()].flatMap(([key, all]) => (all.length < MANY ? all.map((incident) => ({ key: incident.key, all: [incident] })) : [{ key, all }]));
}

function behind(numbers) {
  const columns = [{ text: "Measured" }, { text: "Value", numeric: true }];
  const rows = numbers.map(([name, value]) => [measured(name), evidence(value)]);
  return h("details", { class: "behind" }, h("summary", {}, "Numbers behind it"), table({ caption: "Numbers behind it", columns, rows }));
}

/** A list of incidents. `onShow` is called with an incident to be zoomed to, `onRow` when its row is opened. */
export class IncidentList {
  constructor({ onShow, onRow, empty }) {
    Object.assign(this, { onShow, onRow, empty });
    this.element = h("div", { class: "incidents" });
    this.drawn = null;
    this.items = new Map();
    this.folds = new Map();
  }

  /** Fill the list. `open`: findings whose incident still runs. `reading`: there may be more to come. */
  fill(findings, open = [], reading = false) {
    const mark = JSON.stringify([findings, open, reading]);
    if (mark === this.drawn) return;
    this.drawn = mark;
    this.running = new Set(open.map((each) => (typeof each === "string" ? each : each.kind)));
    const expanded = new Set([...this.items, ...this.folds].filter(([, item]) => item.element.open).map(([key]) => key));
    const incidents = joined(findings);
    const groups = sorted(incidents);
    this.items = new Map();
    this.folds = new Map();
    const pages = groups.filter(({ all }) => all[0].severity !== "info").map((group) => this.group(group));
    const notes = groups.filter(({ all }) => all[0].severity === "info");
    const rows = notes.length ? [...pages, this.notes(notes)] : pages;
    for (const [key, item] of [...this.items, ...this.folds]) item.element.open = expanded.has(key);
    if (!this.begun && incidents.length > 0) {
      const worst = groups.find(({ all }) => all[0].severity !== "info")?.all[0];
      if (worst && pages.length <= FEW) this.items.get(worst.key).element.open = true;
      this.begun = true;
    }
    if (incidents.length === 0) replace(this.element, emptyState(reading ? READING : this.empty));
    else replace(this.element, h("ul", { class: "incident-list" }, rows.map((row) => h("li", {}, row))));
  }

  /** Open the explanation of the finding at `index` and bring it into view. */
  open(index) {
    for (const { incident, element } of this.items.values()) {
      if (!incident.indexes.includes(index)) continue;
      for (let around = element; around; around = around.parentElement?.closest("details")) around.open = true;
      element.scrollIntoView({ block: "nearest" });
      element.querySelector("summary").focus({ preventScroll: true });
      return incident;
    }
    return null;
  }

  group({ key, all }) {
    if (all.length === 1) return this.item(all[0]);
    const [newest] = all;
    const more = all.length > MOST_LISTED ? h("li", {}, h("p", { class: "small" }, `And ${count(all.length - MOST_LISTED)} before these.`)) : null;
    const shown = all.slice(0, MOST_LISTED).map((incident) => h("li", {}, this.item(incident)));
    const element = h("details", { class: newest.severity }, this.head(newest.severity, `${capital(newest.name)}, ${plural(all.length, "time")}`, `last at step ${count(newest.first)}`), h("ul", { class: "incident-list inner" }, shown, more));
    this.folds.set(key, { element });
    return element;
  }

  /** What is worth a note is folded: a spike is not to be looked for under a hundred bad batches. */
  notes(groups) {
    const total = groups.reduce((sum, { all }) => sum + all.length, 0);
    const kinds = [...new Set(groups.map(({ all }) => all[0].name))].join(", ");
    const element = h("details", { class: "info" }, this.head("info", plural(total, "note"), kinds), h("ul", { class: "incident-list inner" }, groups.map((group) => h("li", {}, this.group(group)))));
    this.folds.set("notes", { element });
    return element;
  }

  head(severity, what, where, onClick) {
    const sign = h("span", { class: `severity ${severity}` }, SEVERITY[severity]);
    return h("summary", { on: onClick ? { click: onClick } : {} }, sign, h("span", { class: "what" }, what), h("span", { class: "where" }, where));
  }

  item(incident) {
    const still = !incident.closed && this.running.has(incident.kind);
    const where = incident.first === incident.last ? `step ${count(incident.first)}` : `steps ${count(incident.first)} to ${count(incident.last)}`;
    const entries = incident.findings.map((finding) =>
      h("p", {}, h("span", { class: "when" }, `Step ${count(finding.step)}, ${words(finding.phase)}. `), sentence(finding.message)),
    );
    const numbers = Object.entries(incident.findings[0].evidence ?? {}).filter(([, value]) => value !== "" && value !== null);
    const show = this.onShow ? h("button", { type: "button", class: "tool", on: { click: () => this.onShow(incident) } }, "Show in the chart") : null;
    const opened = () => { if (!element.open) this.onRow?.(incident); };
    const element = h(
      "details",
      { class: incident.severity },
      this.head(incident.severity, capital(incident.name), still ? `since step ${count(incident.first)}, open` : where, opened),
      h("div", { class: "entries" }, entries, show, numbers.length ? behind(numbers) : null),
    );
    this.items.set(incident.key, { incident, element });
    return element;
  }
}
