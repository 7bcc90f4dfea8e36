// A curve the size of a word.

import { s } from "./dom.js";

const WIDTH = 132;
const HEIGHT = 30;
const MARGIN = 2;

/** A drawing of [step, loss] pairs on logarithmic steps, or nothing if there are fewer than two. */
export function spark(points, label) {
  const known = points.filter(([step, value]) => step > 0 && Number.isFinite(value));
  if (known.length < 2) return null;
  const across = known.map(([step]) => Math.log(step));
  const up = known.map(([, value]) => (value > 0 ? Math.log(value) : value));
  const place = (values, size, turned) => {
    const low = Math.min(...values);
    const span = Math.max(...values) - low || 1;
    return values.map((value) => {
      const part = (value - low) / span;
      return MARGIN + (turned ? 1 - part : part) * (size - 2 * MARGIN);
    });
  };
  const x = place(across, WIDTH, false);
  const y = place(up, HEIGHT, true);
  const line = x.map((each, i) => `${each.toFixed(1)},${y[i].toFixed(1)}`).join(" ");
  return s(
    "svg",
    { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: "img", "aria-label": label },
    s("polyline", { points: line, "vector-effect": "non-scaling-stroke" }),
    s("circle", { cx: x.at(-1).toFixed(1), cy: y.at(-1).toFixed(1), r: 2.2 }),
  );
}
