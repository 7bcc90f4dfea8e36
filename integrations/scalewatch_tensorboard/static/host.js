// What TensorBoard around this frame tells: its theme, the address bar, when data were reloaded, whether we are seen.

const REPLY_WAIT_MS = 400;

/** The page around the frame, or null where a notebook keeps it from us. */
function parentPage() {
  try {
    return window.parent !== window && window.parent.document.body ? window.parent : null;
  } catch {
    return null;
  }
}

/** Messages to and from TensorBoard, by the port that it waits for. */
class Channel {
  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    this.waiting = new Map();
    this.listeners = new Map();
    this.last = 0;
    port1.addEventListener("message", (event) => this.take(event));
    port1.start();
    if (window.parent !== window) window.parent.postMessage("experimental.bootstrap", "*", [port2]);
  }

  take(event) {
    let message;
    try {
      message = JSON.parse(event.data);
    } catch {
      return;
    }
    const { type, id, payload, error, isReply } = message;
    if (isReply) {
      this.waiting.get(id)?.(error ? null : payload);
      this.waiting.delete(id);
      return;
    }
    this.listeners.get(type)?.(payload);
    this.port.postMessage(JSON.stringify({ type, id, payload: null, error: null, isReply: true }));
  }

  /** Ask, and give up after a moment: outside TensorBoard nobody answers. */
  ask(type, payload) {
    this.last += 1;
    const id = this.last;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      setTimeout(() => resolve(null), REPLY_WAIT_MS);
      this.port.postMessage(JSON.stringify({ type, id, payload, error: null, isReply: false }));
    });
  }
}

/** The host as the panels see it. */
export class Host {
  constructor(plugin) {
    this.plugin = plugin;
    this.channel = new Channel();
    this.parent = parentPage();
  }

  /** Parameters of a deep link: `#scalewatch&p.scalewatch.run=...`. */
  async linked() {
    const linked = await this.channel.ask("experimental.GetURLPluginData", {});
    return linked && Object.keys(linked).length > 0 ? linked : this.inAddress();
  }

  /** The same out of the address bar: TensorBoard reads that only when the page is loaded. */
  inAddress() {
    const prefix = `p.${this.plugin}.`;
    const found = {};
    try {
      for (const part of (this.parent?.location.hash ?? "").slice(1).split("&")) {
        const [name, value] = part.split("=");
        if (value !== undefined && decodeURIComponent(name).startsWith(prefix)) {
          found[decodeURIComponent(name).slice(prefix.length)] = decodeURIComponent(value);
        }
      }
    } catch {
      return {};
    }
    return found;
  }

  /** The address that opens what is seen now. */
  link(parameters) {
    const parts = Object.entries(parameters).map(
      ([name, value]) => `p.${this.plugin}.${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
    );
    const hash = `#${[this.plugin, ...parts].join("&")}`;
    try {
      const { origin, pathname, search } = (this.parent ?? window).location;
      return `${origin}${pathname}${search}${hash}`;
    } catch {
      return hash;
    }
  }

  /** Show the link in the address bar, as a `step` that Back undoes or in place of the one before; a click on another tab of TensorBoard takes it away again. */
  remember(parameters, step = false) {
    try {
      if (!this.parent || !this.seen()) return;
      const link = this.link(parameters);
      // what leads elsewhere is a step that Back undoes; a page that is where it was is none
      if (step && link !== this.parent.location.href) this.parent.history.pushState(this.parent.history.state, "", link);
      else this.parent.history.replaceState(this.parent.history.state, "", link);
    } catch {
      // a host that owns its address keeps it
    }
  }

  /** Call back when somebody changes the address by hand, or goes back or forward. */
  onLink(callback) {
    this.parent?.addEventListener("hashchange", () => {
      const found = this.inAddress();
      if (Object.keys(found).length > 0) callback(found);
    });
  }

  /** Call back when TensorBoard has read its logs anew. */
  onReload(callback) {
    this.channel.listeners.set("experimental.DataReloaded", callback);
    this.channel.listeners.set("experimental.RunsChanged", callback);
  }

  /** Whether TensorBoard is dark; outside it, what the system prefers. */
  dark() {
    if (this.parent) return this.parent.document.body.classList.contains("dark-mode");
    return window.matchMedia("(prefers-color-scheme: dark)").matches;
  }

  /** Call back with true or false whenever the theme changes. */
  onTheme(callback) {
    const tell = () => callback(this.dark());
    if (this.parent) {
      const watcher = new MutationObserver(tell);
      watcher.observe(this.parent.document.body, { attributes: true, attributeFilter: ["class"] });
    } else {
      window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
    }
  }

  /** Whether anybody can see us: behind another tab of TensorBoard this frame has no height. */
  seen() {
    return !document.hidden && window.innerHeight > 0;
  }

  /** Call back when that may have changed. */
  onSeen(callback) {
    document.addEventListener("visibilitychange", callback);
    window.addEventListener("resize", callback);
  }
}
