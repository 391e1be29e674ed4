// Why: what the annotation that pauses an object means, in one place. Pure.
import { PAUSED_ANNOTATION } from "@nexus/protocol/resources/names.ts";

export const isPaused = ({ metadata }: { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } }): boolean =>
  metadata.annotations?.[PAUSED_ANNOTATION] === "true";
