// Why: how long something took from the publisher's request to a listener, measured in one process with one clock.
// It must never be asked of more than a few connections: these decode what they get.
import { percentile } from "./targets.ts";

/** `payload` goes into what is published, `onSample` reads it back; `reset` forgets what was measured. */
export type Timing = {
  readonly payload: () => string;
  readonly onSample: (text: string) => void;
  reset(): void;
  /** Milliseconds. */
  at(share: number): number;
};

export function timing(): Timing {
  const took: number[] = [];
  return {
    payload: () => `at:${performance.now()}`,
    onSample(text) {
      const at = /at:(\d+(?:\.\d+)?)/.exec(text)?.[1];
      if (at !== undefined) took.push(performance.now() - Number(at));
    },
    reset: () => {
      took.length = 0;
    },
    at: (share) => percentile(took, share),
  };
}
