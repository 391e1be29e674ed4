// Why: the `Liquid` engine behind the same walk as `Simple`: liquidjs, narrowed to what protocol/liquid.ts lists, with one
// budget for everything a payload renders. It must never read a file, a clock's zone or a prototype, and what a template
// does wrong is a `TemplateFault`, never another error.
import {
  faultText,
  isLiquid,
  LIQUID_OPTIONS,
  LIQUID_RENDER_MS,
  LIQUID_UNITS,
  liquidFault,
  NESTED,
  narrowLiquid,
  PARTIAL_RULE,
} from "@nexus/protocol/liquid.ts";
import type { Context, Liquid, Parser, TagToken, Template, TopLevelToken } from "liquidjs";
import { contextsOf, meterLiquid } from "./liquid-limits.ts";
import type { TextCompiler, TextRenderer } from "./payload-tree.ts";
import type { Variables } from "./simple-template.ts";

/**
 * A template that cannot be compiled or rendered. `detail` is for its author and quotes its source at most; `pointer`
 * (RFC 6901) says at which text of the payload, empty for all of it.
 */
export class TemplateFault extends Error {
  readonly detail: string;
  readonly pointer: string;

  constructor(detail: string, { pointer = "", cause }: { readonly pointer?: string; readonly cause?: unknown } = {}) {
    super(detail, { cause });
    this.name = "TemplateFault";
    this.detail = detail;
    this.pointer = pointer;
  }
}

/** One compiled text. `lone`: the variable's name where the text is its placeholder only. `partials`: ids it renders. */
export type LiquidText = {
  readonly templates: Template[];
  readonly lone: string | undefined;
  readonly partials: ReadonlySet<string>;
  readonly pointer: string;
};

export type Partials = ReadonlyMap<string, LiquidText>;

const LONE = /^\s*\{\{-?\s*([^{}\s|]+?)\s*-?\}\}\s*$/;

const LIMITS = { memoryLimit: LIQUID_UNITS, renderLimit: LIQUID_RENDER_MS };

type Machine = {
  parse(source: string): { readonly templates: Template[]; readonly partials: ReadonlySet<string> };
  context(variables: Variables): Context;
  render(templates: Template[], context: Context, partials: Partials): string;
};

/** A memo: made when the first text needs it, so that a server without Liquid templates never loads the engine. */
let machine: Machine | undefined;
const theMachine = (): Machine => {
  machine ??= createMachine(require("liquidjs"));
  return machine;
};

function createMachine(lib: typeof import("liquidjs")): Machine {
  const liquid = new lib.Liquid(LIQUID_OPTIONS);
  // Parsing and rendering are synchronous, so these two belong to the call that is under way.
  let found = new Set<string>();
  let available: Partials = new Map();
  const note = (scope: { readonly name: string } | undefined) => {
    if (!scope) throw new Error(PARTIAL_RULE);
    found.add(scope.name);
  };
  liquid.registerTag(
    "render",
    class extends lib.RenderTag {
      constructor(token: TagToken, rest: TopLevelToken[], engine: Liquid, parser: Parser) {
        super(token, rest, engine, parser);
        note(this.partialScope());
      }
    },
  );
  liquid.registerTag(
    "include",
    class extends lib.IncludeTag {
      constructor(token: TagToken, rest: TopLevelToken[], engine: Liquid, parser: Parser) {
        super(token, rest, engine, parser);
        note(this.partialScope());
      }
    },
  );
  narrowLiquid(liquid);
  for (const name of ["json", "jsonify"]) {
    liquid.registerFilter(name, function (value: unknown) {
      const json = JSON.stringify(value ?? null);
      this.context.memoryLimit.use(json.length);
      return json;
    });
  }
  // biome-ignore lint/correctness/useYield: the engine asks for a generator, and nothing has to be waited for
  liquid._parsePartialFile = function* (name) {
    const partial = available.get(name);
    if (!partial) throw new Error("a partial is missing"); // found before rendering: see templates.ts
    return partial.templates;
  };
  meterLiquid(liquid, lib);
  return {
    parse(source) {
      found = new Set();
      const templates = liquid.parse(source);
      return { templates, partials: found };
    },
    context: contextsOf(liquid, lib, LIMITS),
    render(templates, context, partials) {
      available = partials;
      // What `increment` changes is this text's own; a null prototype has nothing to find.
      const scope: object = Object.assign(Object.create(null), context.environments);
      return String(lib.toValueSync(liquid._render(templates, context.spawn(scope), {})));
    },
  };
}

/** Compiles one text. `pointer`: where it stands in the payload. @throws TemplateFault with line and column */
export function compileLiquid(source: string, pointer: string): LiquidText {
  try {
    return { ...theMachine().parse(source), lone: LONE.exec(source)?.[1], pointer };
  } catch (error) {
    throw new TemplateFault(reason(error), { pointer, cause: error });
  }
}

export const LIQUID: TextCompiler<LiquidText> = {
  compile: (text, pointer) => (isLiquid(text) ? compileLiquid(text, pointer) : undefined),
  lone: (text) => text.lone,
};

/** One budget for all texts that are rendered through it. Its functions throw `TemplateFault`. */
export function liquidRenderer(variables: Variables, partials: Partials): TextRenderer<LiquidText> {
  const context = theMachine().context(variables);
  return {
    text(text) {
      try {
        return theMachine().render(text.templates, context, partials);
      } catch (error) {
        throw new TemplateFault(reason(error), { pointer: text.pointer, cause: error });
      }
    },
    typed: (name) => JSON.stringify((Object.hasOwn(variables, name) ? variables[name] : null) ?? null),
  };
}

/** Words for what the engine threw. What a filter says of its input may quote it, so it is not passed on. */
function reason(error: unknown): string {
  const fault = liquidFault(error);
  const said = (message: string) => faultText({ ...fault, message });
  if (fault.message.startsWith("memory alloc limit")) return said("renders more than the limits allow: make its loops or texts smaller");
  if (fault.message.startsWith("template render limit")) return said(`takes longer than ${LIQUID_RENDER_MS} ms to render`);
  const isOfFilter = error instanceof Error && error.name === "RenderError" && fault.message !== NESTED;
  return isOfFilter ? said("cannot be rendered with these variables: a filter or tag refuses its input") : said(fault.message);
}
