// Why: what a node knows of one stream it listens to, at the cost of one small object: nodes hold 100,000 of them.
// It must never keep an announcement's text alive: a piece of a string keeps the whole of it.
import type { Position } from "@nexus/protocol/cursor.ts";
import type { BusListener, StreamId } from "../../core/ports.ts";

/** Channels of one SSUBSCRIBE or SUNSUBSCRIBE: few enough that Redis answers other clients in between. */
export const CHANNELS_PER_COMMAND = 200;

/** A command that is on its way. `age`: ticks of the probe it has seen. */
export type SubscribeCommand = {
  readonly asks: boolean;
  readonly subscriptions: readonly Subscription[];
  age: number;
};

export class Subscription {
  readonly stream: StreamId;
  readonly channel: string;
  readonly partition: number;
  /** Undefined: nobody wants it any more. */
  listener: BusListener | undefined = undefined;
  /** Whether the last command sent for it on the connection of now asked for it. */
  asked = false;
  /** The command that is on its way for it. */
  command: SubscribeCommand | undefined = undefined;
  /** Announcements have flowed since somebody began to listen. */
  flowed = false;
  /** Announcements may have been missed, and the listener does not know yet. */
  doubtful = false;
  /** The last place announced. */
  last: Position | undefined = undefined;

  constructor(stream: StreamId, channel: string, partition: number) {
    this.stream = stream;
    this.channel = channel;
    this.partition = partition;
  }

  get wanted(): boolean {
    return this.listener !== undefined;
  }

  get settled(): boolean {
    return this.command === undefined && this.asked === this.wanted;
  }

  /** Nobody wants it: whoever comes next starts afresh. */
  forget(): void {
    this.flowed = false;
    this.doubtful = false;
    this.last = undefined;
  }

  /** The connection it was on is gone, or is not its own any more. */
  interrupt(): void {
    if (this.flowed) this.doubtful = true;
    this.asked = false;
    this.command = undefined;
  }
}

/** What one command may carry: the same intent, one slot, not too many. In the order they come. */
export function commandsFor(subscriptions: Iterable<Subscription>): SubscribeCommand[] {
  const groups = new Map<number, Subscription[]>();
  const commands: SubscribeCommand[] = [];
  for (const subscription of subscriptions) {
    const group = subscription.partition * 2 + Number(subscription.wanted);
    let members = groups.get(group);
    if (members === undefined || members.length === CHANNELS_PER_COMMAND) {
      members = [];
      groups.set(group, members);
      commands.push({ asks: subscription.wanted, subscriptions: members, age: 0 });
    }
    members.push(subscription);
  }
  return commands;
}
