// Why: a connection that carries nothing looks like one on which nothing happens. A message of our own that has to come
// back tells them apart, and says how long announcements take. It must never blame the subscription when the command
// that publishes the probe failed.
import type { Clock } from "../../core/ports.ts";
import type { Reply } from "./link.ts";

export type ProbeOptions = {
  /** Publishes to the channel the connection listens to; answers how many clients of that server got it. */
  readonly publish: (text: string) => Promise<Reply>;
  readonly clock: Pick<Clock, "monotonic">;
  readonly arrived: (lagMs: number) => void;
  /** The server took a probe and has nobody to give it to. */
  readonly unheard: () => void;
  /** The command that publishes failed: nothing is known of the subscription. */
  readonly unsent: () => void;
};

type Flight = { readonly text: string; readonly sentAt: number; taken: boolean; ticks: number };

export class Probe {
  readonly #options: ProbeOptions;
  #sent = 0;
  #flight: Flight | undefined;

  constructor(options: ProbeOptions) {
    this.#options = options;
  }

  /**
   * Call every `probeMs`: sends the next one when the last is back. False when a probe that Redis took is not back after
   * two ticks. Ticks, not time: a process that was stopped reads what waits on its sockets before it judges.
   */
  tick(): boolean {
    const flight = this.#flight;
    if (!flight) {
      void this.#send();
      return true;
    }
    if (flight.taken) flight.ticks++;
    return flight.ticks < 2;
  }

  /** A probe's text came back. One that was given up meanwhile counts for nothing. */
  receive(text: string): void {
    const flight = this.#flight;
    if (flight?.text !== text) return;
    this.#flight = undefined;
    this.#options.arrived(Math.max(this.#options.clock.monotonic() - flight.sentAt, 0));
  }

  async #send(): Promise<void> {
    const { publish, clock, unheard, unsent } = this.#options;
    const flight: Flight = { text: String(++this.#sent), sentAt: clock.monotonic(), taken: false, ticks: 0 };
    this.#flight = flight;
    let receivers: Reply;
    try {
      receivers = await publish(flight.text);
    } catch {
      // Redis did not take it: the link counts and logs that, and a subscription is not to blame.
      if (this.#flight !== flight) return;
      this.#flight = undefined;
      unsent();
      return;
    }
    if (this.#flight !== flight) return;
    flight.taken = true;
    if (receivers === 0) unheard();
  }
}
