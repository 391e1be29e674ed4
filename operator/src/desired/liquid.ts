// Why: a Liquid template that does not compile is refused where it is written, on its status and by `nexus validate`, and
// not first when somebody sends it. The engine is the servers', narrowed alike, and here it only parses. Pure.
import { faultText, isLiquid, LIQUID_OPTIONS, liquidFault, narrowLiquid, PARTIAL_RULE } from "@nexus/protocol/liquid.ts";
import type { Complaint } from "@nexus/protocol/resources/rules.ts";
import { IncludeTag, Liquid, type Parser, RenderTag, type TagToken, type TopLevelToken } from "liquidjs";

/** A memo: made when the first Liquid template is seen. */
let engine: Liquid | undefined;

function theEngine(): Liquid {
  if (engine) return engine;
  engine = new Liquid(LIQUID_OPTIONS);
  engine.registerTag(
    "render",
    class extends RenderTag {
      constructor(token: TagToken, rest: TopLevelToken[], liquid: Liquid, parser: Parser) {
        super(token, rest, liquid, parser);
        if (!this.partialScope()) throw new Error(PARTIAL_RULE);
      }
    },
  );
  engine.registerTag(
    "include",
    class extends IncludeTag {
      constructor(token: TagToken, rest: TopLevelToken[], liquid: Liquid, parser: Parser) {
        super(token, rest, liquid, parser);
        if (!this.partialScope()) throw new Error(PARTIAL_RULE);
      }
    },
  );
  narrowLiquid(engine);
  return engine;
}

/** The first text or key in a payload that does not compile, with line and column in that text. */
export function liquidComplaint(payload: unknown, path: string): Complaint | undefined {
  if (typeof payload === "string") return textComplaint(payload, path);
  if (typeof payload !== "object" || payload === null) return undefined;
  for (const [key, inner] of Object.entries(payload)) {
    const at = Array.isArray(payload) ? `${path}[${key}]` : `${path}.${key}`;
    const complaint = (Array.isArray(payload) ? undefined : textComplaint(key, at)) ?? liquidComplaint(inner, at);
    if (complaint) return complaint;
  }
  return undefined;
}

function textComplaint(text: string, path: string): Complaint | undefined {
  if (!isLiquid(text)) return undefined;
  try {
    theEngine().parse(text);
    return undefined;
  } catch (error) {
    return { path, message: faultText(liquidFault(error)) };
  }
}
