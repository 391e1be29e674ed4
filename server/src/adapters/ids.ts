// Why: real identifiers, for the one place that wires the process. Epochs are random: no two starts may share one.
import { randomBytes } from "node:crypto";
import type { Ids } from "../core/ports.ts";

export const systemIds: Ids = {
  uuid: () => Bun.randomUUIDv7(),
  epoch: () => randomBytes(9).toString("base64url"),
};
