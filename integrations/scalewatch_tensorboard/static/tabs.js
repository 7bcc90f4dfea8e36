// Tabs as the ARIA pattern asks: one stop for the Tab key, arrows between them.

import { h, unique } from "./dom.js";

/** A list of tabs. `panel` is the element that all of them fill. */
export function tabs({ label, options, panel, onChange, level = "main" }) {
  panel.id ||= unique("panel");
  panel.setAttribute("role", "tabpanel");
  const buttons = options.map(({ value, text, title }) =>
    h("button", {
      type: "button", role: "tab", id: unique("tab"), title, "aria-controls": panel.id, "data-value": value,
      on: { click: () => onChange(value) },
    }, text),
  );
  const element = h("div", { role: "tablist", class: `tabs ${level}`, "aria-label": label, on: { keydown: move } }, buttons);

  function move(event) {
    const at = buttons.indexOf(event.target);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const next = buttons[(to + buttons.length) % buttons.length];
    next.focus();
    onChange(next.dataset.value);
  }

  function set(value) {
    for (const button of buttons) {
      const chosen = button.dataset.value === value;
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      if (chosen) panel.setAttribute("aria-labelledby", button.id);
    }
  }

  return { element, set };
}
