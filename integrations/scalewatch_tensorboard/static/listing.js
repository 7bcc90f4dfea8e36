// The list of all runs, of which the server tells what changed since it was asked last.

import { get } from "./api.js";

/** Parts of a list that are fetched one after another before the page shows them. */
const MOST_PARTS = 4;

/** Every run by name, and its row as text, which changes with it. */
export class Listing {
  constructor() {
    this.rows = new Map();
    this.versions = new Map();
    this.epoch = null;
    this.version = null;
    this.more = false;
    this.changed = false;
  }

  /** Fetch what changed; `visible` are the runs that the page shows, which are read before the others. */
  async fetch(visible) {
    let answer = await get("runs", { epoch: this.epoch, since: this.version, visible });
    for (let parts = 1; this.take(answer) && parts < MOST_PARTS; parts += 1) {
      answer = await get("runs", { epoch: this.epoch, since: this.version });
    }
    return answer;
  }

  /** Take an answer in; whether there is more to be fetched. */
  take(answer) {
    if (answer.whole) {
      this.rows.clear();
      this.versions.clear();
    }
    for (const name of answer.gone) {
      this.rows.delete(name);
      this.versions.delete(name);
    }
    for (const row of answer.runs) {
      this.rows.set(row.name, row);
      this.versions.set(row.name, JSON.stringify(row));
    }
    this.changed = this.changed || answer.whole || answer.gone.length > 0 || answer.runs.length > 0;
    this.epoch = answer.epoch;
    this.version = answer.version || null;
    this.more = answer.more;
    return answer.more;
  }
}
