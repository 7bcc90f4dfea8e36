// The page: tabs, the run looked at, live updates, and what each panel may ask of the rest.

import { get } from "./api.js";
import { AdvicePanel } from "./advice.js";
import { Answer } from "./answer.js";
import { h, replace } from "./dom.js";
import { ForecastPanel } from "./forecast.js";
import { plural } from "./format.js";
import { HealthPanel } from "./health.js";
import { Host } from "./host.js";
import { Listing } from "./listing.js";
import { Overview } from "./overview.js";
import { Poller } from "./poll.js";
import { RunPanel } from "./run.js";
import { ScalingPanel } from "./scaling.js";
import { parsed, State, whole } from "./state.js";
import { tabs } from "./tabs.js";
import { behind } from "./verdict.js";

const PANELS = [
  { value: "overview", text: "Overview", title: "Which of my runs needs me?", make: Overview },
  { value: "run", text: "Run", title: "Is it healthy, and is it on its law?", make: RunPanel },
  { value: "health", text: "Health", title: "Does anything look unlike the rest of the run?", make: HealthPanel },
  { value: "forecast", text: "Forecast", title: "Where will it end, and what if it were scheduled otherwise?", make: ForecastPanel },
  { value: "scaling", text: "Scaling", title: "Where does it stand among runs of other sizes?", make: ScalingPanel },
  { value: "advice", text: "Advice", title: "What should I do now, and why?", make: AdvicePanel },
];
/** What leads elsewhere: Back undoes it. */
const STEPS = ["panel", "run", "compare", "reference", "scaling", "from", "to"];
/** After so long a page that was told before its log was read is asked for again [ms]. */
const AGAIN_MS = 1_500;
const GUESSED = ["total_steps", "schedule", "at", "extend", "decay", "rate"];

function latest(runs) {
  return runs.reduce((best, row) => ((row.seconds_last ?? 0) > (best.seconds_last ?? 0) ? row : best));
}

/** Everything of the page that panels share. */
export class App {
  constructor(root, host) {
    this.root = root;
    this.host = host;
    this.state = new State();
    this.listing = new Listing();
    this.runs = [];
    this.rows = new Map();
    this.ladder = null;
    this.answered = false;
    this.dark = host.dark();
    this.panels = new Map();
    this.build();
  }

  build() {
    this.main = h("div", { class: "panel" });
    this.tabs = tabs({ label: "ScaleWatch", options: PANELS, panel: this.main, onChange: (panel) => this.state.set({ panel }) });
    this.pulse = h("p", { class: "pulse" }, h("span", { class: "dot" }), h("span", {}, "loading"));
    this.notice = h("div", { class: "notice", role: "alert", hidden: true });
    this.spoken = h("div", { class: "unseen", "aria-live": "polite" });
    this.answer = new Answer(this);
    replace(this.root, h("header", { class: "top" }, h("h1", { class: "unseen" }, "ScaleWatch"), this.tabs.element, this.pulse), this.notice, h("main", {}, this.answer.element, this.main), this.spoken);
    replace(this.main, h("p", { class: "empty" }, "Looking for runs …"));
  }

  /** Begin: where the link points, then what the server knows, again every few seconds. */
  async start() {
    this.theme(this.dark);
    const first = this.listing.fetch([]).catch(() => null);
    this.state.set(parsed(await this.host.linked()));
    this.state.onChange((changed) => this.changed(changed));
    this.poller = new Poller(() => this.poll(), () => this.host.seen(), (error, wait) => this.lost(error, wait));
    this.host.onTheme((dark) => this.theme(dark));
    this.host.onReload(() => this.poller.now());
    this.host.onLink((parameters) => this.follow(whole(parameters)));
    this.host.onSeen(() => this.poller.look());
    const answer = await first;
    if (answer) this.take(answer);
    this.poller[answer ? "later" : "now"](answer ? this.poller.wait() : 0);
  }

  async poll() {
    this.take(await this.listing.fetch(this.visible()));
  }

  /** Take in what the server said; redraw only what changed. */
  take(answer) {
    this.notice.hidden = true;
    const had = this.rows;
    this.law = answer.law ?? null;
    this.logdir = answer.logdir ?? "";
    this.searched = answer.searched !== false;
    this.troubles = [answer.law_trouble, ...(answer.troubles ?? [])].filter(Boolean);
    const same = this.answered && !this.listing.changed;
    if (!same) {
      this.rows = new Map(this.listing.rows);
      this.runs = [...this.rows.values()];
    }
    const count = (...stages) => this.runs.filter(({ stage }) => stages.includes(stage)).length;
    const [live, unread] = [count("live", "reading"), count("reading", "waiting", "glanced")];
    this.poller.soon = !this.searched || this.listing.more || unread > 0;
    const rest = unread ? `reading ${plural(unread, "run")}` : this.runs.length ? "up to date" : "waiting for runs";
    this.beat(live ? `${plural(live, "run")} live` : rest, live > 0);
    const finished = this.runs.filter(({ stage }) => stage === "finished").map(({ name }) => name);
    this.ladder = JSON.stringify([this.law, finished]);
    if (same) return;
    this.listing.changed = false;
    this.answered = true;
    this.news(had);
    this.show();
  }

  /** Tell a screen reader what got worse since the last answer. */
  news(had) {
    const worse = this.runs.filter((row) => had.has(row.name) && row.open_incidents > had.get(row.name).open_incidents);
    if (worse.length) this.announce(worse.slice(0, 3).map((row) => `${row.name}: ${row.headline}`).join(". "));
  }

  lost(error, wait) {
    this.beat("not connected", false, true);
    const again = h("button", { type: "button", class: "tool", on: { click: () => this.poller.now() } }, "Try now");
    replace(this.notice, h("span", {}, `${error.message} Trying again in ${Math.round(wait)} s.`), again);
    this.notice.hidden = false;
    if (this.rows.size === 0) replace(this.main, h("p", { class: "empty" }, "Nothing to show until TensorBoard answers."));
  }

  beat(text, live, bad = false) {
    this.pulse.lastChild.textContent = text;
    this.pulse.className = `pulse${live ? " live" : ""}${bad ? " bad" : ""}`;
  }

  changed(changed) {
    if (changed.includes("run") && GUESSED.every((name) => !changed.includes(name))) {
      this.state.set(Object.fromEntries(GUESSED.map((name) => [name, null])));
    }
    this.show();
    this.host.remember(this.state.parameters(), !this.following && changed.some((name) => STEPS.includes(name)));
  }

  /** Go where a link leads, without a step of our own. */
  follow(state) {
    this.following = true;
    this.state.set(state);
    this.following = false;
  }

  /** Fill what the link left open: a run, and the panel that says most about what is there. */
  settle() {
    const { panel, run } = this.state.now;
    const found = {};
    if (run === null && this.runs.length > 0) found.run = latest(this.runs).name;
    if (panel === null) found.panel = this.runs.length === 1 ? "run" : "overview";
    Object.assign(this.state.now, found);
  }

  show() {
    if (!this.answered) return;
    this.settle();
    const { panel, run } = this.state.now;
    this.tabs.set(panel);
    const entry = PANELS.find(({ value }) => value === panel);
    const fresh = !this.panels.has(panel);
    if (fresh) this.panels.set(panel, new entry.make(this));
    const shown = this.panels.get(panel);
    const alone = panel === "overview";
    this.answer.show(alone);
    if (!alone && !this.rows.has(run)) {
      replace(this.main, h("p", { class: "empty" }, this.runs.length ? `There is no run named “${run}” below this log folder. Choose another one above.` : this.noRuns()));
      return;
    }
    if (shown.element.parentElement !== this.main) replace(this.main, shown.element);
    shown.show();
    if (!alone) this.detail(shown, run);
  }

  /** Fetch what is said about a run in words, once for each change of it. */
  async detail(panel, run) {
    const key = JSON.stringify([run, this.version(run), this.guess()]);
    if (panel.detailKey === key) return;
    panel.detailKey = key;
    if (this.known?.key !== key) this.known = { key, answer: get("run", { run, ...this.guess() }) };
    try {
      const detail = await this.known.answer;
      if (panel.detailKey !== key) return;
      panel.tell(detail);
      this.answer.tell(run, detail);
      // the row may be final already: nothing of it will change when the rest of the log is read
      const row = this.row(run);
      if (behind(detail, row) && row?.stage !== "failed") setTimeout(() => this.askAgain(panel, run, key), AGAIN_MS);
    } catch (error) {
      panel.detailKey = null;
      if (this.known?.key === key) this.known = null;
      this.say(error.message);
    }
  }

  askAgain(panel, run, key) {
    if (panel.detailKey !== key || !panel.element.isConnected) return;
    panel.detailKey = null;
    this.known = null;
    this.detail(panel, run);
  }

  /** Names of the runs that are on the screen. */
  visible() {
    const shown = this.panels.get(this.state.now.panel);
    return shown?.visible ? shown.visible() : [this.state.now.run].filter(Boolean);
  }

  row(name) {
    return this.rows.get(name) ?? null;
  }

  /** Changes whenever the run does. */
  version(name) {
    return this.listing.versions.get(name) ?? null;
  }

  /** What the user guesses of a schedule that the log does not hold. */
  guess() {
    const { total_steps, schedule } = this.state.now;
    return { total_steps, schedule };
  }

  link() {
    return this.host.link(this.state.parameters());
  }

  openRun(run) {
    this.state.set({ panel: "run", run });
    this.tabs.element.querySelector("[aria-selected=true]").focus();
  }

  /** Draw runs in one picture, the first with all that is known of it. */
  openRuns([run, ...compare]) {
    this.state.set({ panel: "run", run, compare });
    this.tabs.element.querySelector("[aria-selected=true]").focus();
  }

  openIncident(index) {
    this.state.set({ panel: "run" });
    this.panels.get("run").explain(index);
  }

  showIncident(incident) {
    this.state.set({ panel: "run" });
    this.panels.get("run").zoomTo(incident);
  }

  /** A sentence for screen readers. */
  announce(sentence) {
    this.spoken.textContent = sentence;
  }

  /** A sentence for everybody. */
  say(sentence) {
    replace(this.notice, h("span", {}, sentence), h("button", { type: "button", class: "tool", on: { click: () => { this.notice.hidden = true; } } }, "Close"));
    this.notice.hidden = false;
  }

  noRuns() {
    if (!this.searched) return `Looking for runs below ${this.logdir || "the log folder"} …`;
    return `No training run was found below ${this.logdir || "the log folder"}. A run shows here as soon as its event files hold a loss, or the scalewatch callback writes its journal; nothing needs to be restarted.`;
  }

  theme(dark) {
    const before = this.dark;
    this.dark = dark;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    if (before !== dark) for (const panel of this.panels.values()) this.redraw(panel);
  }

  redraw(panel) {
    if (panel.element.isConnected) panel.show();
  }

  /** A chart was drawn: seen by tests and benchmarks. */
  drawn(label) {
    performance.mark(`scalewatch drawn: ${label}`);
  }
}

/** Fill the page. */
export async function start() {
  const root = h("div", { class: "app" });
  document.body.replaceChildren(root);
  await new App(root, new Host("scalewatch")).start();
}
