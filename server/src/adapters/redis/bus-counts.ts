// Why: what a node counts of its announcements, in one type that whoever shows it can know without knowing Redis.
// It must never grow with streams or users.

/** Since the start; `streams` is of now. `dead`: connections that carried nothing though they looked well. */
export type BusCounts = {
  readonly streams: number;
  /** Announcements that arrived for somebody, and those of them that nobody could read. */
  readonly messages: number;
  readonly broken: number;
  /** Connections that were lost, those that were given up included. */
  readonly interruptions: number;
  readonly dead: number;
  /** Times an offset was given twice. */
  readonly regressions: number;
};
