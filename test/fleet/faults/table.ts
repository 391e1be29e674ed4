// Why: one line per fault, for people: on the terminal and in docs/reliability.md.
// It must never round a hole away.
import type { Account } from "./run.ts";

const COLUMNS = [
  "fault",
  "people",
  "200 OK / refused",
  "deliveries owed",
  "told as lost: live only / kept",
  "silent holes",
  "twice",
  "connections lost",
  "without news",
  "recovery s",
  "longest silence s",
];

export const HEADER = [`| ${COLUMNS.join(" | ")} |`, `| ${COLUMNS.map(() => "---").join(" | ")} |`].join("\n");

const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(1);

export function rowOf(account: Account): string {
  const { told, toldKept, refused } = account;
  const refusals = Object.entries(refused).map(([why, count]) => `${count} × ${why}`);
  const cells = [
    account.fault,
    account.people,
    `${account.accepted} / ${refusals.length > 0 ? refusals.join(", ") : 0}`,
    account.owed,
    `${told - toldKept} / ${toldKept}`,
    account.holes,
    account.repeated,
    account.drops,
    account.cutOff,
    account.recoveryMs === undefined ? "–" : seconds(account.recoveryMs),
    seconds(account.longestSilenceMs),
  ];
  return `| ${cells.join(" | ")} |`;
}
