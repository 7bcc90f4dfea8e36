// The door that TensorBoard opens: `render` fills this frame. What takes longest is asked for first, and all at once.

import { vegaEmbed } from "./library.js";

// Every module but these two: a module that is only found inside another one is fetched a round trip later.
const MODULES = [
  "advice", "answer", "api", "app", "chart", "dom", "forecast", "format", "health", "host", "incidents", "legend",
  "listing", "overview", "overview_columns", "pickers", "poll", "run", "scaling", "schedule_form", "spark", "state",
  "tabs", "take", "verdict",
];

function linked(rel, href) {
  const link = document.createElement("link");
  link.rel = rel;
  link.href = href;
  document.head.append(link);
}

/** Called once by TensorBoard, in a frame of our own. */
export async function render() {
  document.documentElement.lang = "en";
  document.title = "ScaleWatch";
  linked("stylesheet", "./style.css");
  // a library that does not load is told of where a chart is to be drawn
  vegaEmbed().catch(() => undefined);
  for (const name of MODULES) linked("modulepreload", `./${name}.js`);
  const { start } = await import("./app.js");
  await start();
}
