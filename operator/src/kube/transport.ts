// Why: the only place that talks HTTP to the API server, on Bun's `fetch`, because client-node's own transport ignores
// CAs on Bun. Every call has a deadline, every failure is a `KubeError`. It must never log or throw a credential, and
// never send a POST or PATCH a second time, except where the API server said it did not take it (401, 429). (Bun itself
// repeats GET, PUT and DELETE when a reused connection turns out to be dead, as HTTP allows.)
import { type Clock, type Random, sleep, systemClock } from "../loop/clock.ts";
import { KubeError } from "../loop/kube-error.ts";
import type { Credentials, KubeAccess } from "./access.ts";
import { pathOnly, refusal } from "./answer.ts";
import { LineSplitter } from "./lines.ts";

/** client-go's `rest_client_requests_total{code,method,host}` and `rest_client_request_duration_seconds{verb,host}`. */
export type TransportMetrics = {
  /** Once per HTTP exchange; `path` has no query; `code` is the status, or `<error>` when none came. For a watch, up to the headers. */
  request(sample: {
    readonly code: string;
    readonly method: Call["method"];
    readonly host: string;
    readonly path: string;
    readonly seconds: number;
  }): void;
};

export type TransportOptions = {
  readonly access: KubeAccess;
  readonly userAgent: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly metrics?: TransportMetrics;
  /** Deadline of a call that names none; default 30 s. */
  readonly timeoutMs?: number;
  /** Longest line of a watch (one object); default 8 MiB, etcd holds 1.5 MiB. */
  readonly maxLineBytes?: number;
};

export type Call = {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Absolute path with query. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  /** Deadline of the whole call, waiting for `Retry-After` included. For a watch: until the headers. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
};

/** `dateMs`: the clock of whoever answered, in whole seconds. */
export type Answer = { readonly status: number; readonly body: unknown; readonly dateMs?: number };

export interface Transport {
  /** One request and its JSON answer. Rejects with `KubeError` for everything that is not a 2xx with JSON. */
  request(call: Call): Promise<Answer>;
  /**
   * Reads a stream of lines (a watch) until the server ends it: then it resolves. Rejects with `KubeError` on a refusal,
   * a cut line, a reset, or `signal`. `onLine` must not throw; `onOpen` is called once the headers are there.
   */
  stream(call: Call, onLine: (line: string) => void, onOpen?: () => void): Promise<void>;
}

/** Tokens rotate; client-go reads them again as often. */
const CREDENTIALS_MS = 60_000;
const THROTTLE_RETRIES = 5;

export function createTransport(options: TransportOptions): Transport {
  return new FetchTransport(options);
}

class FetchTransport implements Transport {
  readonly #options: TransportOptions;
  readonly #clock: Clock;
  readonly #host: string;
  #credentials: { readonly value: Promise<Credentials>; readonly sinceMs: number } | undefined;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#host = new URL(options.access.server).host;
  }

  async request(call: Call): Promise<Answer> {
    return await this.#within(call, async (until) => {
      const response = await this.#exchange(call, until);
      try {
        const dateMs = Date.parse(response.headers.get("date") ?? "");
        return { status: response.status, body: await response.json(), ...(Number.isNaN(dateMs) ? {} : { dateMs }) };
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        throw new KubeError({ status: 0, reason: "Malformed", message: `${what(call)}: the answer is not JSON` }, error);
      }
    });
  }

  async stream(call: Call, onLine: (line: string) => void, onOpen?: () => void): Promise<void> {
    const hangUp = new AbortController();
    const onAbort = () => hangUp.abort();
    call.signal?.addEventListener("abort", onAbort, { once: true });
    try {
      // The deadline covers the headers only; `hangUp` lives as long as the body.
      const response = await this.#within(call, (until) => this.#exchange(call, until, hangUp));
      onOpen?.();
      await this.#read(call, response, onLine);
    } finally {
      call.signal?.removeEventListener("abort", onAbort);
      hangUp.abort();
    }
  }

  async #read(call: Call, response: Response, onLine: (line: string) => void): Promise<void> {
    const lines = new LineSplitter(this.#options.maxLineBytes ?? 8 * 1024 * 1024);
    try {
      if (response.body) for await (const chunk of response.body) lines.push(chunk, onLine);
    } catch (error) {
      throw this.#broken(call, call.signal?.aborted ? "Aborted" : "Network", error);
    }
    if (call.signal?.aborted) throw this.#broken(call, "Aborted", undefined);
    if (lines.pendingBytes > 0) throw this.#broken(call, "Network", new Error("the stream ended inside a line"));
  }

  /** Runs `work` under the call's deadline and signal, and names whichever of the two ended it. */
  async #within<T>(call: Call, work: (until: Until) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    let reason: "Timeout" | "Aborted" | "Network" = "Network";
    const give = (why: "Timeout" | "Aborted") => () => {
      reason = why;
      stop.abort();
    };
    const onAbort = give("Aborted");
    const timeoutMs = call.timeoutMs ?? this.#options.timeoutMs ?? 30_000;
    const deadlineMs = this.#clock.monotonicMs() + timeoutMs;
    const cancel = this.#clock.after(timeoutMs, give("Timeout"));
    call.signal?.addEventListener("abort", onAbort, { once: true });
    if (call.signal?.aborted) onAbort();
    try {
      return await work({ signal: stop.signal, deadlineMs });
    } catch (error) {
      if (error instanceof KubeError) throw error;
      throw this.#broken(call, reason, error);
    } finally {
      cancel();
      call.signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Until an answer that is neither 401 (once) nor 429 (while there is time); its body is still unread when it is a 2xx. */
  async #exchange(call: Call, until: Until, hangUp?: AbortController): Promise<Response> {
    const { signal, deadlineMs } = until;
    let hasRenewed = false;
    for (let throttled = 0; ; ) {
      const response = await this.#send(call, until, hangUp);
      if (response.ok) return response;
      const error = refusal(call, response, await abortable(response.text(), signal));
      if (error.status === 401 && !hasRenewed) {
        hasRenewed = true;
        this.#credentials = undefined;
      } else if (error.status === 429 && error.retryAfterSeconds !== undefined && throttled < THROTTLE_RETRIES) {
        throttled++;
        // Jitter on top, never below: everyone was told the same second.
        const waitMs = error.retryAfterSeconds * 1000 * (1 + 0.1 * (this.#options.random ?? Math.random)());
        if (this.#clock.monotonicMs() + waitMs >= deadlineMs) throw error;
        // A deadline that passes while we wait is still the API server's 429, with its Retry-After.
        if (!(await sleep(this.#clock, waitMs, signal))) throw call.signal?.aborted ? this.#broken(call, "Aborted", error) : error;
      } else throw error;
    }
  }

  async #send(call: Call, until: Until, hangUp: AbortController | undefined): Promise<Response> {
    const { signal } = until;
    const credentials = await abortable(this.#currentCredentials(), signal);
    signal.throwIfAborted();
    // A process that was stopped just here runs on before its timers do: an old leader must not send then.
    if (this.#clock.monotonicMs() >= until.deadlineMs) throw this.#broken(call, "Timeout", undefined);
    const relay = () => hangUp?.abort();
    if (hangUp) signal.addEventListener("abort", relay, { once: true });
    const startedMs = this.#clock.monotonicMs();
    let code = "<error>";
    try {
      const response = await fetch(this.#options.access.server + call.path, {
        method: call.method,
        headers: {
          ...credentials.headers,
          Accept: call.accept ?? "application/json",
          "Accept-Encoding": "identity", // compression would cost the API server more than the network here
          "User-Agent": this.#options.userAgent,
          ...(call.body === undefined ? {} : { "Content-Type": call.contentType ?? "application/json" }),
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        tls: { ...credentials.tls },
        redirect: "error", // credentials must not follow a redirect
        timeout: false, // Bun's own 5 min would cut quiet watches; our deadline is `signal`
        signal: hangUp?.signal ?? signal,
      } as BunFetchRequestInit & { timeout: false });
      code = String(response.status);
      return response;
    } finally {
      signal.removeEventListener("abort", relay);
      const seconds = (this.#clock.monotonicMs() - startedMs) / 1000;
      this.#options.metrics?.request({ code, method: call.method, host: this.#host, path: pathOnly(call.path), seconds });
    }
  }

  #currentCredentials(): Promise<Credentials> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#credentials && nowMs - this.#credentials.sinceMs < CREDENTIALS_MS) return this.#credentials.value;
    const entry = { value: this.#options.access.credentials(), sinceMs: nowMs };
    this.#credentials = entry;
    entry.value.catch(() => {
      if (this.#credentials === entry) this.#credentials = undefined; // the caller gets the error; the next one reads again
    });
    return entry.value;
  }

  #broken(call: Call, reason: "Timeout" | "Aborted" | "Network", cause: unknown): KubeError {
    const texts = { Timeout: "no answer in time", Aborted: "given up", Network: detail(cause) };
    return new KubeError({ status: 0, reason, message: `${what(call)}: ${texts[reason]}` }, cause);
  }
}

/** The end of a call: a signal for what waits, and the time for what is about to begin. */
type Until = { readonly signal: AbortSignal; readonly deadlineMs: number };

const what = (call: Call): string => `${call.method} ${pathOnly(call.path)}`;

/** Code and text of a network failure, e.g. `ECONNREFUSED` or `UNABLE_TO_VERIFY_LEAF_SIGNATURE`. */
function detail(cause: unknown): string {
  if (!(cause instanceof Error)) return "connection failed";
  const code = "code" in cause && typeof cause.code === "string" ? `${cause.code}: ` : "";
  return `${code}${cause.message}`.slice(0, 300);
}

/** `work`, or a rejection as soon as `signal` aborts (the work itself may go on: a plugin cannot be stopped). */
function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new Error("given up while reading credentials"));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
