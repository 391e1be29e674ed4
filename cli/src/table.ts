// Why: tables look as kubectl's do, so that the same eyes and the same awk read them. Pure.

const GAP = 3;

/** Left-aligned columns, as wide as their widest cell; nothing trails. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd((widths[column] ?? 0) + GAP))
        .join("")
        .trimEnd(),
    )
    .join("\n");
}

/** `12s`, `5m`, `3h`, `2d` since an RFC 3339 time. */
export function ageOf(since: string | undefined, nowMs: number): string {
  const seconds = Math.floor((nowMs - Date.parse(since ?? "")) / 1000);
  if (!(seconds >= 0)) return "<unknown>";
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
