// Why: a Liquid template that does not compile is refused where it is written, on its status and by `nexus validate`, and
// not first when somebody sends it. The engine is the servers', narrowed alike, and here it only parses. Pure.
import { faultText, isLiquid, LIQUID_OPTIONS, liquidFault, narrowLiquid, PARTIAL_RULE } from "@nexus/protocol/liquid.ts";
import type { Complaint } from "@nexus/protocol/resources/rules.ts";
import type { Liquid, Parser, TagToken, TopLevelToken } from "liquidjs";

/** A memo: loaded and made when the first Liquid text is seen, so that commands which see none do not pay for it. */
let engine: Liquid | undefined;
const theEngine = (): Liquid => {
  engine ??= createEngine(require("liquidjs"));
  return engine;
};

function createEngine(lib: typeof import("liquidjs")): Liquid {
  const made = new lib.Liquid(LIQUID_OPTIONS);
  made.registerTag(
    "render",
    class extends lib.RenderTag {
      constructor(token: TagToken, rest: TopLevelToken[], liquid: Liquid, parser: Parser) {
        super(token, rest, liquid, parser);
        if (!this.partialScope()) throw new Error(PARTIAL_RULE);
      }
    },
  );
  made.registerTag(
    "include",
    class extends lib.IncludeTag {
      constructor(token: TagToken, rest: TopLevelToken[], liquid: Liquid, parser: Parser) {
        super(token, rest, liquid, parser);
        if (!this.partialScope()) throw new Error(PARTIAL_RULE);
      }
    },
  );
  narrowLiquid(made);
  return made;
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
