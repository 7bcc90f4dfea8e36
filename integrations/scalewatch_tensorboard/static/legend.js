// The legend of a chart: a click hides what an entry stands for, a double click leaves it alone in the picture.

/** How long a click waits for a second one [ms]. */
const DOUBLE_MS = 250;

/** What of a chart is hidden; it stays so while a run goes on and the chart is drawn anew. */
export class Legend {
  constructor(announce) {
    this.announce = announce;
    this.hidden = new Set();
    this.labels = [];
    this.pointed = false;
    this.waiting = null;
  }

  /** Listen to the legend of a view whose entries are `labels`. */
  take(view, labels) {
    this.view = view;
    this.labels = labels;
    if (labels.length === 0) return;
    view.addEventListener("pointermove", (_event, item) => { this.pointed = this.entry(item) !== null; });
    view.addEventListener("click", (_event, item) => this.click(this.entry(item)));
    if (this.hidden.size > 0) this.draw();
  }

  /** The label of the entry that an item of the drawing belongs to, or null. */
  entry(item) {
    for (let each = item; each; each = each.mark?.group) {
      if (!String(each.mark?.role ?? "").startsWith("legend")) continue;
      const label = each.datum?.value ?? each.datum?.label;
      if (this.labels.includes(label)) return label;
    }
    return null;
  }

  click(label) {
    if (label === null) return;
    if (this.waiting !== null) {
      clearTimeout(this.waiting);
      this.waiting = null;
      this.solo(label);
      return;
    }
    this.waiting = setTimeout(() => {
      this.waiting = null;
      this.toggle(label);
    }, DOUBLE_MS);
  }

  toggle(label) {
    if (!this.hidden.delete(label)) this.hidden.add(label);
    this.announce(`${label} is ${this.hidden.has(label) ? "hidden" : "shown"}.`);
    this.draw();
  }

  /** Only this one; all of them if it is alone already. */
  solo(label) {
    const others = this.labels.filter((each) => each !== label);
    const alone = !this.hidden.has(label) && others.every((each) => this.hidden.has(each));
    this.hidden = new Set(alone ? [] : others);
    this.announce(alone ? "All are shown." : `Only ${label} is shown.`);
    this.draw();
  }

  draw() {
    const places = this.labels.map((label, place) => (this.hidden.has(label) ? place : -1)).filter((place) => place >= 0);
    this.view.signal("hidden", places).runAsync();
  }
}
