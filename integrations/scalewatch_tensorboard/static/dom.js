// Elements, made only by createElement, setAttribute and text nodes: what a run is called can never become markup.

const SVG = "http://www.w3.org/2000/svg";

function filled(node, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    } else if (name === "value" || name === "checked" || name === "selected") {
      node[name] = value;
    } else {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An element with attributes, listeners (`on`) and children (nodes or plain text). */
export function h(tag, properties, ...children) {
  return filled(document.createElement(tag), properties, children);
}

/** The same for a drawing. */
export function s(tag, properties, ...children) {
  return filled(document.createElementNS(SVG, tag), properties, children);
}

/** Put `children` where the old ones were. */
export function replace(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

let made = 0;
/** An id that no other element has. */
export function unique(prefix) {
  made += 1;
  return `${prefix}-${made}`;
}

/** A group of choices of which one holds: native radio buttons, so arrow keys and screen readers work. */
export function choice({ label, options, value, onChange }) {
  const name = unique("choice");
  const inputs = new Map();
  const items = options.map(({ value: key, text, title }) => {
    const input = h("input", { type: "radio", name, value: key, on: { change: () => onChange(key) } });
    inputs.set(key, input);
    return h("label", { class: "segment", title }, input, h("span", {}, text));
  });
  const element = h("fieldset", { class: "choice" }, h("legend", {}, label), h("div", { class: "segments" }, items));
  const set = (key, allowed) => {
    for (const [each, input] of inputs) {
      input.checked = each === key;
      input.disabled = allowed ? !allowed.includes(each) : false;
    }
  };
  set(value);
  return { element, set };
}

/** A table with a caption that says what it holds; cells are nodes or text, `numeric` columns stand right. */
export function table({ caption, columns, rows, hiddenCaption = true }) {
  const head = columns.map((column) => h("th", { scope: "col", class: column.numeric ? "numeric" : null }, column.text));
  const body = rows.map((cells) =>
    h("tr", {}, cells.map((cell, i) => {
      const tag = i === 0 ? "th" : "td";
      return h(tag, { scope: i === 0 ? "row" : null, class: columns[i].numeric ? "numeric" : null }, cell);
    })),
  );
  const words = h("caption", { class: hiddenCaption ? "unseen" : null }, caption);
  return h("div", { class: "scroll" }, h("table", { class: "plain" }, words, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}

/** A paragraph that says why there is nothing to see, and what helps; `part` read so far draws a bar. */
export function emptyState(sentence, part) {
  const bar = typeof part === "number" && part < 1 ? progressBar(part, "read") : null;
  return h("div", { class: "empty" }, h("p", {}, sentence), bar);
}

/** A bar from 0 to 1 with its number in words. */
export function progressBar(part, word) {
  const percent = Math.max(0, Math.min(100, Math.round(part * 100)));
  return h(
    "div",
    { class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": percent, "aria-label": word },
    h("span", { style: `width:${percent}%` }),
  );
}
