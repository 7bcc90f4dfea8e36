// Asks again and again while somebody is looking, and less often while nobody answers.

/** While something is being read, and otherwise. */
const SOON_MS = 800;
const EVERY_MS = 3_000;
const AT_MOST_MS = 60_000;

/** Runs `task` every few seconds while `wanted()`; after a failure it waits twice as long each time. */
export class Poller {
  constructor(task, wanted, onFailure) {
    this.task = task;
    this.wanted = wanted;
    this.onFailure = onFailure;
    this.timer = null;
    this.failures = 0;
    this.busy = false;
    this.again = false;
    this.soon = false;
  }

  /** Ask now, unless nobody is looking. */
  async now() {
    clearTimeout(this.timer);
    this.timer = null;
    if (!this.wanted()) return;
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    try {
      await this.task();
      this.failures = 0;
    } catch (error) {
      this.failures += 1;
      this.onFailure(error, this.wait() / 1000);
    }
    this.busy = false;
    this.later(this.again ? 0 : this.wait());
    this.again = false;
  }

  wait() {
    const every = this.soon && this.failures === 0 ? SOON_MS : EVERY_MS;
    return Math.min(every * 2 ** this.failures, AT_MOST_MS);
  }

  later(wait) {
    clearTimeout(this.timer);
    this.timer = this.wanted() ? setTimeout(() => this.now(), wait) : null;
  }

  /** To be called when the frame is hidden or seen again. */
  look() {
    if (!this.wanted()) {
      clearTimeout(this.timer);
      this.timer = null;
    } else if (this.timer === null && !this.busy) {
      this.now();
    }
  }
}
