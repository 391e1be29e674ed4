// Why: an explanation is a chain of links in the order in which one needs the other; the first that is broken is the cause, the
// rest follow from it. Types and the one decision over them; nothing here asks anybody.

/** `broken`: keeps the object from being Ready. `note`: worth knowing. `unseen`: could not be looked at. */
export type LinkState = "fine" | "broken" | "note" | "unseen";

export type Link = {
  /** `Secret shop/keys`, `Pod shop/live-server-abc`. */
  readonly object: string;
  readonly state: LinkState;
  readonly says: string;
  /** What to do about it. */
  readonly todo?: string;
  /** Says no more than that another link is broken. */
  readonly follows?: boolean;
};

export const fine = (object: string, says: string): Link => ({ object, state: "fine", says });
export const note = (object: string, says: string, todo?: string): Link => ({ object, state: "note", says, ...(todo ? { todo } : {}) });
export const unseen = (object: string, says: string): Link => ({ object, state: "unseen", says });
export const broken = (object: string, says: string, todo: string): Link => ({ object, state: "broken", says, todo });

export const firstBroken = (links: readonly Link[]): Link | undefined => links.find(({ state }) => state === "broken");

const MARKS: Readonly<Record<LinkState, string>> = { fine: "ok", broken: "BROKEN", note: "note", unseen: "?" };

/** The chain, one link a line, and the cause at the end. */
export function chainText(about: string, links: readonly Link[], isReady: boolean): string {
  const lines = links.map(({ state, object, says }) => `  ${MARKS[state].padEnd(7)}${object}: ${says}`);
  const cause = firstBroken(links);
  const others = links.filter((link) => link !== cause && link.todo !== undefined && !link.follows);
  const end = isReady
    ? [`${about} is Ready.${cause ? " What follows is broken all the same:" : ""}`]
    : cause
      ? []
      : [
          `${about} is not Ready, and nothing it depends on looks broken: it may only need a moment. Ask again, or read the operator's log.`,
        ];
  const causes = cause ? [`First broken link: ${cause.object}: ${cause.says}`, `What to do: ${cause.todo}`] : [];
  return [
    `${about} depends on, in this order:`,
    ...lines,
    "",
    ...end,
    ...causes,
    ...new Set(others.map(({ object, todo }) => `Also: ${object}: ${todo}`)),
  ].join("\n");
}
