// Why: how far a pod is behind is a time, not a number of bytes: the age of the oldest change it has not acknowledged. It must never
// look young because newer changes keep coming, nor old because a push of everything is still on its way back.

export class PushLag {
  /** The oldest change that no push under way holds, and the oldest in the push under way; monotonic milliseconds. */
  #waitingMs: number | undefined;
  #sentMs: number | undefined;
  #readyMs: number | undefined;

  /** A pod is behind from its first moment: nobody told it anything yet. */
  constructor(nowMs: number) {
    this.#waitingMs = nowMs;
  }

  /** Something is not on the pod that should be. */
  changed(nowMs: number): void {
    this.#waitingMs ??= nowMs;
  }

  /** A push of all there is begins. */
  sent(): void {
    this.#sentMs = earlier(this.#sentMs, this.#waitingMs);
    this.#waitingMs = undefined;
  }

  /** That push was taken, and with it the pod had everything. */
  taken(): void {
    this.#sentMs = undefined;
  }

  /** That push was lost, refused, or held a part only. */
  notTaken(): void {
    this.#waitingMs = earlier(this.#sentMs, this.#waitingMs);
    this.#sentMs = undefined;
  }

  /** A pod that is not ready serves nobody: its time counts from when it is. */
  ready(isReady: boolean, nowMs: number): void {
    this.#readyMs = isReady ? (this.#readyMs ?? nowMs) : undefined;
  }

  /** Age of the oldest change the pod lacks while it is ready, in milliseconds; 0 when it lacks nothing. */
  ageMs(nowMs: number): number {
    const sinceMs = earlier(this.#sentMs, this.#waitingMs);
    return this.#readyMs === undefined || sinceMs === undefined ? 0 : nowMs - Math.max(sinceMs, this.#readyMs);
  }
}

const earlier = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : Math.min(a, b);
