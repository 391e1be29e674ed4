// Why: the real time, for the one place that wires the process. Nothing else may ask the machine for it.
import type { Clock } from "../core/ports.ts";

export const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };
