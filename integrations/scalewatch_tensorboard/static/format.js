// Numbers as people read them. What is unknown is a dash.

export const DASH = "–";

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

const known = (value) => typeof value === "number" && Number.isFinite(value);

/** 12,345 */
export function count(value) {
  return known(value) ? grouped.format(value) : DASH;
}

/** A loss with as many digits as a person compares [nats/token]. */
export function loss(value) {
  if (!known(value)) return DASH;
  const size = Math.abs(value);
  if (size >= 1e4) return quantity(value);
  if (size > 0 && size < 1e-3) return power(value);
  return size >= 100 ? value.toFixed(1) : size >= 10 ? value.toFixed(2) : value.toFixed(3);
}

/** 80.1k, 124M: a large number as people say it, as at the axes of the charts. */
export function quantity(value) {
  if (!known(value)) return DASH;
  const [size, letter] = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]].find(([least]) => Math.abs(value) >= 0.9995 * least) ?? [1, ""];
  const part = value / size;
  return Math.abs(part) < 1e3 ? `${Number(part.toPrecision(3))}${letter}` : power(value);
}

/** 1.2e-7: without zeros. */
function power(value) {
  const [digits, exponent] = value.toExponential(2).split("e");
  return `${Number(digits)}e${Number(exponent)}`;
}

/** A name of at most so many letters: its middle is left out, for names differ at their ends. */
export function shortened(name, letters) {
  const all = [...name];
  const half = Math.floor((letters - 1) / 2);
  return all.length <= letters ? name : `${all.slice(0, letters - 1 - half).join("")}…${all.slice(-half).join("")}`;
}

/** "2.41 to 2.53", or a dash. */
export function interval(low, high) {
  return known(low) && known(high) ? `${loss(low)} to ${loss(high)}` : DASH;
}

/** +0.012 or −0.012, with a real minus sign. */
export function signed(value) {
  if (!known(value)) return DASH;
  return `${value < 0 ? "\u2212" : "+"}${loss(Math.abs(value))}`;
}

/** 43 % */
export function percent(part) {
  return known(part) ? `${Math.round(part * 100)} %` : DASH;
}

/** Words out of a name in code: "bad_batch" is "bad batch". */
export function words(name) {
  return String(name ?? "").replaceAll("_", " ");
}

/** The same with a capital letter. */
export function capital(name) {
  const text = words(name);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A sentence out of a message: a capital letter in front, a full stop behind. */
export function sentence(message) {
  const text = String(message ?? "").trim();
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** The name of a measured number with its unit: "excess_nats" is "excess [nats]". */
export function measured(name) {
  const found = /^(.+)_(nats|seconds|steps|tokens|percent)$/.exec(name);
  return found ? `${words(found[1])} [${found[2] === "seconds" ? "s" : found[2] === "percent" ? "%" : found[2]}]` : words(name);
}

/** "3 incidents", "1 incident" */
export function plural(number, word) {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}

/** A time as people say it: "38 min". */
export function duration(seconds) {
  if (!known(seconds)) return DASH;
  const steps = [[90, 1, "s"], [5400, 60, "min"], [129600, 3600, "h"], [Infinity, 86400, "days"]];
  const [, size, unit] = steps.find(([most]) => seconds < most);
  return `${Math.round(seconds / size)} ${unit}`;
}

/** How long ago a Unix time was. */
export function ago(unix) {
  return known(unix) ? `${duration(Math.max(0, Date.now() / 1000 - unix))} ago` : DASH;
}

/** What one value of an incident's evidence is: booleans as words, numbers short. */
export function evidence(value) {
  if (value === null || value === undefined) return DASH;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (!known(value)) return String(value);
  if (Number.isInteger(value)) return count(value);
  const size = Math.abs(value);
  return size >= 1e5 ? quantity(value) : size >= 1e-3 ? String(Number(value.toPrecision(4))) : power(value);
}
