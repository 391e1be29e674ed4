// Why: an inbox answers for thousands of steps exactly what a plain list would: every engine is put to the same oracle.
// It must never know how an engine stores anything.
import { expect, test } from "bun:test";
import type { Entry, StreamId } from "@nexus/server/core/ports.ts";
import fc from "fast-check";
import { fuzzSettings, fuzzTimeoutMs } from "../support/fuzz.ts";
import { freshInbox, type MakeSubject, notification, publish, type Subject } from "./subject.ts";

const RETENTION = { entries: 12, ttlSeconds: 30 };
const STEPS = 600;

/** `back`: how many entries below the newest. */
type Step =
  | { readonly do: "publish"; readonly ttl: number | undefined }
  | { readonly do: "advance"; readonly ms: number }
  | { readonly do: "page"; readonly back: number; readonly limit: number }
  | { readonly do: "read" | "mark" | "acknowledge" | "remove"; readonly back: number }
  | { readonly do: "unread" };

const back = fc.integer({ min: 0, max: 20 });
const onOne = (what: "read" | "mark" | "acknowledge" | "remove") => fc.record({ do: fc.constant(what), back });
const ttl = fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("publish" as const), ttl }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.integer({ min: 1, max: 8000 }) }) },
  { weight: 3, arbitrary: onOne("read") },
  { weight: 1, arbitrary: onOne("mark") },
  { weight: 1, arbitrary: onOne("acknowledge") },
  { weight: 1, arbitrary: onOne("remove") },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("page" as const), back, limit: fc.integer({ min: 1, max: 15 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("unread" as const) }) },
);

type Told = {
  readonly id: string;
  readonly offset: number;
  readonly at: number;
  readonly ownEnd: number;
  acknowledged: boolean;
  removed: boolean;
};
const idsOf = (entries: readonly Told[]) => entries.map(({ id }) => id);
const ids = (entries: readonly Entry[]) => entries.map((entry) => entry.notification.id);

/** Everything ever published, in a list; what the store may and must answer follows from it by filtering. */
class Model {
  readonly #subject: Subject;
  readonly #inbox: StreamId;
  readonly #told: Told[] = [];
  #mark = 0;
  readonly #epoch: string;

  private constructor(subject: Subject, inbox: StreamId, epoch: string) {
    this.#subject = subject;
    this.#inbox = inbox;
    this.#epoch = epoch;
  }

  static async start(subject: Subject): Promise<Model> {
    const inbox = freshInbox();
    const { epoch } = await subject.engine.store.top(inbox);
    return new Model(subject, inbox, epoch);
  }

  async take(next: Step): Promise<void> {
    switch (next.do) {
      case "advance":
        return this.#subject.advance(next.ms);
      case "publish":
        return this.#publish(next.ttl);
      case "mark":
        return this.#setMark(this.#offset(next.back));
      case "acknowledge":
        return this.#acknowledge(this.#told[this.#offset(next.back)]);
      case "remove":
        return this.#remove(this.#told[this.#offset(next.back)]);
      case "unread":
        return this.#unread();
      case "page":
        return this.#page(this.#offset(next.back) + 1, next.limit);
      case "read":
        return this.#read(this.#offset(next.back));
      default:
        return next satisfies never;
    }
  }

  #offset(distance: number): number {
    return Math.max(this.#told.length - distance, 0);
  }

  #isKept({ offset, at }: Told): boolean {
    return offset > this.#told.length - RETENTION.entries && at + RETENTION.ttlSeconds * 1000 > this.#subject.now();
  }

  #isAlive({ ownEnd, removed }: Told): boolean {
    return ownEnd > this.#subject.now() && !removed;
  }

  #visible(): readonly Told[] {
    return this.#told.filter((entry) => this.#isKept(entry) && this.#isAlive(entry));
  }

  #isUnread({ offset, acknowledged }: Told): boolean {
    return offset > this.#mark && !acknowledged;
  }

  async #publish(seconds: number | undefined): Promise<void> {
    const made = notification(this.#subject, seconds === undefined ? {} : { ttl: seconds });
    await publish(this.#subject, this.#inbox, { notification: made, retention: RETENTION });
    const ownEnd = seconds === undefined ? Number.POSITIVE_INFINITY : made.occurredAt + seconds * 1000;
    const fresh = { acknowledged: false, removed: false };
    this.#told.push({ id: made.id, offset: this.#told.length + 1, at: made.occurredAt, ownEnd, ...fresh });
  }

  async #setMark(offset: number): Promise<void> {
    await this.#subject.engine.store.setMark(this.#inbox, { epoch: this.#epoch, offset });
    this.#mark = Math.max(this.#mark, offset);
  }

  /** Whether an expired entry can still be acknowledged is the engine's to say. */
  async #acknowledge(chosen: Told | undefined): Promise<void> {
    if (!chosen || (!chosen.removed && !this.#visible().includes(chosen))) return;
    expect(await this.#subject.engine.store.acknowledge(this.#inbox, chosen.id)).toBe(!chosen.removed);
    chosen.acknowledged = true;
  }

  async #remove(chosen: Told | undefined): Promise<void> {
    if (!chosen) return;
    expect(await this.#subject.engine.store.remove(this.#inbox, chosen.id)).toBe(this.#visible().includes(chosen));
    if (this.#isKept(chosen) && this.#isAlive(chosen)) chosen.removed = true;
  }

  async #unread(): Promise<void> {
    const wanted = this.#visible().filter((entry) => this.#isUnread(entry));
    const { entries, top } = await this.#subject.engine.store.unread(this.#inbox);
    expect(ids(entries)).toEqual(idsOf(wanted));
    expect(top).toEqual({ epoch: this.#epoch, offset: this.#told.length });
    expect(await this.#subject.engine.store.unreadCount(this.#inbox)).toBe(wanted.length);
  }

  async #page(before: number, limit: number): Promise<void> {
    const older = this.#visible().filter(({ offset }) => offset < before);
    const wanted = older.toReversed().slice(0, limit);
    const { entries, top, more } = await this.#subject.engine.store.page(this.#inbox, { before, limit });
    expect(entries.map(({ entry, unread }) => [entry.notification.id, unread])).toEqual(
      wanted.map((entry) => [entry.id, this.#isUnread(entry)]),
    );
    expect([top.offset, more]).toEqual([this.#told.length, older.length > limit]);
  }

  /** Whole, or it says that it is not: then something in between is really gone. */
  async #read(since: number): Promise<void> {
    const after = this.#told.filter(({ offset }) => offset > since);
    const result = await this.#subject.engine.store.read(this.#inbox, { epoch: this.#epoch, offset: since });
    if (result.kind === "recovered") expect(ids(result.entries)).toEqual(idsOf(after.filter((entry) => this.#isAlive(entry))));
    else expect(after.some((entry) => !this.#isKept(entry))).toBe(true);
  }
}

/** At least `runs` runs of {@link STEPS} steps each; `test/support/fuzz.ts` says how to have more, and how to repeat them. */
export function inboxModelSuite(name: string, make: MakeSubject, runs = 25): void {
  const { numRuns, seed } = fuzzSettings(STEPS);
  test(
    `inbox model: ${name}: for ${STEPS} random steps, reads are whole or say they are not, pages and unread are exact`,
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: STEPS, maxLength: STEPS }), async (steps) => {
          await using subject = await make();
          const model = await Model.start(subject);
          for (const next of steps) await model.take(next);
        }),
        { numRuns: Math.max(numRuns, runs), seed },
      );
    },
    fuzzTimeoutMs(2),
  );
}
