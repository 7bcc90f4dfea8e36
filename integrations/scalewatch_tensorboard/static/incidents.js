// Incidents: what was found, in one line each, with the whole explanation behind it.

import { emptyState, h, replace, table } from "./dom.js";
import { capital, count, evidence, measured, sentence, words } from "./format.js";

const RANK = ["info", "warning", "critical"];
/** With no more incidents than this the newest one that matters is open from the start. */
const FEW = 4;
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
    incident.first = incident.findings[0].start_step;
    incident.last = incident.findings.at(-1).step;
    incident.closed = incident.findings.at(-1).phase === "closed";
    incident.key = `${incident.kind}@${incident.findings[0].step}`;
  }
  return made;
}

function behind(numbers) {
  const columns = [{ text: "Measured" }, { text: "Value", numeric: true }];
  const rows = numbers.map(([name, value]) => [measured(name), evidence(value)]);
  return h("details", { class: "behind" }, h("summary", {}, "Numbers behind it"), table({ caption: "Numbers behind it", columns, rows }));
}

/** A list of incidents, newest first. `onShow` is called with an incident to be zoomed to. */
export class IncidentList {
  constructor({ onShow, empty }) {
    this.onShow = onShow;
    this.empty = empty;
    this.element = h("div", { class: "incidents" });
    this.drawn = null;
    this.items = new Map();
  }

  /** Fill the list. `open`: findings whose incident still runs. `reading`: there may be more to come. */
  fill(findings, open = [], reading = false) {
    const mark = JSON.stringify([findings, open, reading]);
    if (mark === this.drawn) return;
    this.drawn = mark;
    const running = new Set(open.map((each) => (typeof each === "string" ? each : each.kind)));
    const expanded = new Set([...this.items].filter(([, item]) => item.element.open).map(([key]) => key));
    const incidents = joined(findings).reverse();
    this.items = new Map(incidents.map((incident) => [incident.key, { incident, element: this.item(incident, running) }]));
    for (const [key, item] of this.items) item.element.open = expanded.has(key);
    if (!this.begun && incidents.length > 0 && incidents.length <= FEW) {
      this.items.get(incidents.find(({ severity }) => severity !== "info")?.key)?.element.setAttribute("open", "");
      this.begun = true;
    }
    if (incidents.length === 0) replace(this.element, emptyState(reading ? READING : this.empty));
    else replace(this.element, h("ul", { class: "incident-list" }, [...this.items.values()].map(({ element }) => h("li", {}, element))));
  }

  /** Open the explanation of the finding at `index` and bring it into view. */
  open(index) {
    for (const { incident, element } of this.items.values()) {
      if (!incident.indexes.includes(index)) continue;
      element.open = true;
      element.scrollIntoView({ block: "nearest" });
      element.querySelector("summary").focus({ preventScroll: true });
      return incident;
    }
    return null;
  }

  item(incident, running) {
    const still = !incident.closed && running.has(incident.kind);
    const where = incident.first === incident.last ? `step ${count(incident.first)}` : `steps ${count(incident.first)} to ${count(incident.last)}`;
    const summary = h(
      "summary",
      {},
      h("span", { class: `severity ${incident.severity}` }, SEVERITY[incident.severity]),
      h("span", { class: "what" }, capital(incident.findings[0].name)),
      h("span", { class: "where" }, still ? `since step ${count(incident.first)}, open` : where),
    );
    const entries = incident.findings.map((finding) =>
      h("p", {}, h("span", { class: "when" }, `Step ${count(finding.step)}, ${words(finding.phase)}. `), sentence(finding.message)),
    );
    const numbers = Object.entries(incident.findings[0].evidence ?? {}).filter(([, value]) => value !== "" && value !== null);
    const show = this.onShow
      ? h("button", { type: "button", class: "tool", on: { click: () => this.onShow(incident) } }, "Show in the chart")
      : null;
    return h(
      "details",
      { class: incident.severity },
      summary,
      h(
        "div",
        { class: "entries" },
        entries,
        show,
        numbers.length ? behind(numbers) : null,
      ),
    );
  }
}
