// Requests to the plugin's server, and what went wrong in a sentence.

const TIMEOUT_MS = 60_000;

/** An answer that is no answer. `fault` is "refused" if asking again cannot help, else "away". */
export class ApiError extends Error {
  constructor(sentence, fault) {
    super(sentence);
    this.fault = fault;
  }
}

/** The address of a route: relative, so that TensorBoard's --path_prefix holds. Lists become repeated parameters. */
export function address(route, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters ?? {})) {
    if (value === null || value === undefined || value === "") continue;
    for (const each of Array.isArray(value) ? value : [value]) query.append(name, String(each));
  }
  const text = query.toString();
  return text ? `./${route}?${text}` : `./${route}`;
}

/** The JSON of a route. Throws ApiError, or AbortError when `signal` says that nobody waits any more. */
export async function get(route, parameters, signal) {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(address(route, parameters), { signal: signal ? AbortSignal.any([signal, limit]) : limit });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("TensorBoard does not answer. Is it still running?", "away");
  }
  let body = null;
  try {
    body = await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
  }
  if (response.ok && body !== null) return body;
  const sentence = body?.error ?? `TensorBoard answered ${response.status} to a request for ${route}.`;
  throw new ApiError(sentence, response.status >= 400 && response.status < 500 ? "refused" : "away");
}

/** Text of a route that is not JSON, such as a table of rows. */
export async function text(route, parameters) {
  const response = await fetch(address(route, parameters));
  if (!response.ok) throw new ApiError(`TensorBoard answered ${response.status} to a request for ${route}.`, "refused");
  return response.text();
}
