// Requests to /api: JSON in, JSON or a problem out, each with a timeout.

import type { Problem } from "../protocol/wire";

export type Fetch = (path: string, init: RequestInit) => Promise<Response>;

/** The server returned a problem. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  constructor(readonly problem: Problem) {
    super(problem.detail ?? problem.title);
  }

  get status(): number {
    return this.problem.status;
  }
}

/** Network failure: the server was not reached. Can be retried. */
export class OfflineError extends Error {
  override readonly name = "OfflineError";
  constructor() {
    super("cannot reach the server");
  }
}

const TIMEOUT = 15_000;
/** Browsers reject larger bodies of all such requests together: 64 KiB (Fetch section 4.6). */
const MAX_KEEPALIVE = 32 * 1024;

export class Http {
  readonly #fetch: Fetch;
  readonly #rejected: (problem: Problem) => void;

  /** `rejected` is called with every problem before the request throws it. */
  constructor(fetch: Fetch, rejected: (problem: Problem) => void = () => undefined) {
    this.#fetch = fetch;
    this.#rejected = rejected;
  }

  /** `token`: sent as `Authorization: Bearer`. */
  async json<T>(method: string, path: string, body?: unknown, token?: string): Promise<T> {
    const { headers, ...content } = body === undefined ? { headers: {} } : jsonBody(body);
    const length = "body" in content ? content.body.length : 0;
    const init = {
      method,
      // Writes complete even if the page is closed or reloaded.
      keepalive: method !== "GET" && length <= MAX_KEEPALIVE,
      signal: AbortSignal.timeout(TIMEOUT),
      headers: token === undefined ? headers : { ...headers, authorization: `Bearer ${token}` },
      ...content,
    };
    const response = await this.send(path, init);
    if (response.status === 204 || response.headers.get("content-length") === "0")
      return undefined as T;
    try {
      const text = await response.text();
      return (text === "" ? undefined : JSON.parse(text)) as T;
    } catch {
      throw new OfflineError();
    }
  }

  /** Returns a successful response. Throws `ProblemError` or `OfflineError`. */
  async send(path: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      response = await this.#fetch(path, {
        credentials: "same-origin",
        cache: "no-store",
        ...init,
      });
    } catch {
      throw new OfflineError();
    }
    if (response.ok) return response;
    const problem = await readProblem(response);
    this.#rejected(problem);
    throw new ProblemError(problem);
  }
}

export function jsonBody(body: unknown): { body: string; headers: Record<string, string> } {
  return { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}

/** An error page of a gateway is converted to a problem. */
async function readProblem(response: Response): Promise<Problem> {
  try {
    const problem: unknown = await response.json();
    if (isProblem(problem)) return problem;
  } catch {
    // Not JSON: use the status.
  }
  const title = `The server returned ${response.status}`;
  const type =
    response.status === 429
      ? "rate-limited"
      : response.status === 404
        ? "not-found"
        : "upstream-unavailable";
  return { type, title, status: response.status };
}

function isProblem(value: unknown): value is Problem {
  return (
    typeof value === "object" &&
    value !== null &&
    "type" in value &&
    "title" in value &&
    "status" in value
  );
}
