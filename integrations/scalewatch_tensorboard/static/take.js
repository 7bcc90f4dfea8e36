// Taking things away: files and links.

import { h } from "./dom.js";

/** Hand the browser a file. `content` is text or a Blob. */
export function save(name, content, type) {
  const blob = content instanceof Blob ? content : new Blob([content], { type });
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A name for a file out of what it shows. */
export function fileName(...parts) {
  const plain = parts.filter(Boolean).join("-").replace(/[^\w.-]+/g, "_").replace(/^[._]+/, "").slice(0, 80);
  return plain || "scalewatch";
}

/** Put text on the clipboard. Returns whether it worked: a page without https has no clipboard of its own. */
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = h("textarea", { value: text, class: "unseen", "aria-hidden": "true" });
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

function quoted(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  // a cell that begins like a formula is run by spreadsheets
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function inlineData(spec) {
  const found = [];
  const walk = (node) => {
    if (Array.isArray(node)) {
      node.forEach(walk);
    } else if (node && typeof node === "object") {
      let values = node.data?.values;
      if (typeof values === "string") {
        try {
          values = JSON.parse(values);
        } catch {
          values = null;
        }
      }
      if (!values && node.data?.name && spec.datasets) values = spec.datasets[node.data.name];
      if (Array.isArray(values) && values.length > 0 && typeof values[0] === "object") found.push(values);
      for (const [name, child] of Object.entries(node)) if (name !== "data" && name !== "datasets") walk(child);
    }
  };
  walk(spec);
  return found;
}

/** All rows that a chart draws as one table; `layer` says which rows belong together. */
export function tableOf(spec) {
  const layers = inlineData(spec);
  const names = [...new Set(layers.flatMap((rows) => rows.flatMap((row) => Object.keys(row))))];
  const lines = [["layer", ...names].map(quoted).join(",")];
  layers.forEach((rows, i) => {
    for (const row of rows) lines.push([i + 1, ...names.map((name) => row[name])].map(quoted).join(","));
  });
  return `${lines.join("\n")}\n`;
}
