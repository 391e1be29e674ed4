// Why: after a restart thousands ask for the same part of the same stream at once; Redis is asked once or twice.
// It must never answer from a look that began before the question: what was published between would be missed in silence.

type Flight<T> = { readonly running: Promise<T>; next: Promise<T> | undefined };

/** Work by key: whoever comes while one runs shares the next one, which begins when this one has ended. */
export class SharedFlights<T> {
  readonly #flights = new Map<string, Flight<T>>();

  /** `work` begins at once when nothing runs under `key`. A failure is everybody's who shared it, and nobody else's. */
  share(key: string, work: () => Promise<T>): Promise<T> {
    const flight = this.#flights.get(key);
    if (!flight) return this.#start(key, work);
    flight.next ??= flight.running.then(
      () => this.#start(key, work),
      () => this.#start(key, work),
    );
    return flight.next;
  }

  get size(): number {
    return this.#flights.size;
  }

  #start(key: string, work: () => Promise<T>): Promise<T> {
    const running = work();
    const flight: Flight<T> = { running, next: undefined };
    this.#flights.set(key, flight);
    const end = () => {
      if (flight.next === undefined && this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    running.then(end, end);
    return running;
  }
}
