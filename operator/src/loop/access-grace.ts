// Why: a label that is edited by mistake must not cut a tenant off within a second. What is live already stays for a minute after
// its namespace lost the permission to attach; what is new is refused at once. It must never let anything in that was not
// live before, and never outlast its minute.
import type { Attachment } from "../desired/acceptance.ts";
import type { Cancel, Clock } from "./clock.ts";

export const ACCESS_GRACE_MS = 60_000;

export type AccessGraceOptions = {
  readonly clock: Clock;
  readonly wallMs: () => number;
  /** Whether the live bundle holds this very object. */
  readonly isLive: (attachment: Attachment) => boolean;
  /** A grace began, ended early, or is over: the object and its entry have to be looked at. Never called from inside `mayStay`. */
  readonly onChange: (attachment: Attachment) => void;
};

type Grace = { readonly untilMs: number; readonly untilWallMs: number; readonly cancel: Cancel };

export class AccessGrace {
  readonly #options: AccessGraceOptions;
  /** By uid; kept when it is over, until the object is permitted or gone from the bundle. */
  readonly #graces = new Map<string, Grace>();

  constructor(options: AccessGraceOptions) {
    this.#options = options;
  }

  /** Whether an object stays attached, given what the rules say now. */
  readonly mayStay = (attachment: Attachment, isPermitted: boolean): boolean => {
    const known = this.#graces.get(attachment.uid);
    if (isPermitted) {
      if (known) this.#end(attachment, known);
      return true;
    }
    if (known) return known.untilMs > this.#options.clock.monotonicMs();
    if (!this.#options.isLive(attachment)) return false;
    this.#begin(attachment);
    return true;
  };

  /** When an object is disabled, RFC 3339; undefined unless its grace runs. */
  until(uid: string): string | undefined {
    const known = this.#graces.get(uid);
    if (!known || known.untilMs <= this.#options.clock.monotonicMs()) return undefined;
    return new Date(known.untilWallMs).toISOString().replace(/\.\d+Z$/, "Z");
  }

  stop(): void {
    for (const { cancel } of this.#graces.values()) cancel();
    this.#graces.clear();
  }

  #begin(attachment: Attachment): void {
    const { clock, wallMs, isLive, onChange } = this.#options;
    const cancel = clock.after(ACCESS_GRACE_MS, () => {
      onChange(attachment);
      // Once it is out of the bundle it is new again: nothing has to be remembered of it.
      if (!isLive(attachment)) this.#graces.delete(attachment.uid);
    });
    this.#graces.set(attachment.uid, { untilMs: clock.monotonicMs() + ACCESS_GRACE_MS, untilWallMs: wallMs() + ACCESS_GRACE_MS, cancel });
    clock.after(0, () => onChange(attachment));
  }

  #end(attachment: Attachment, { cancel }: Grace): void {
    cancel();
    this.#graces.delete(attachment.uid);
    this.#options.clock.after(0, () => this.#options.onChange(attachment));
  }
}
