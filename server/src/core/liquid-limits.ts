// Why: the engine's own limits leave out what is written, loops without a body, values nested into themselves and filters
// that read an argument again for each item. Here each of them is paid for from one budget, or refused.
// It must never change what a template within the limits renders.
import { LIQUID_STEP_UNITS } from "@nexus/protocol/liquid.ts";
import type { Context, Emitter, Liquid } from "liquidjs";

type Lib = typeof import("liquidjs");

/** The largest list or object a filter may make: characters and members, counted where they are reached, not once. */
const MAX_VALUE_UNITS = 131_072;
/** The longest text that names a property, a count or a separator. */
const MAX_PLAIN = 1024;

/** Filters that read their arguments for every item, or as numbers: those must be plain and short. */
const PLAIN_ARGUMENTS: ReadonlySet<string> = new Set([
  ...["map", "sum", "where", "reject", "group_by", "has", "find", "find_index", "sort", "sort_natural", "uniq", "compact"],
  ...["slice", "truncate", "truncatewords", "join", "number_of_words", "slugify", "date", "round", "array_to_sentence_string"],
]);

/** Puts a meter on everything an engine runs. To be called once, after its filters are registered. */
export function meterLiquid(liquid: Liquid, lib: Lib): void {
  meterRenderer(liquid, lib);
  for (const [name, filter] of Object.entries(liquid.filters)) {
    const { handler, raw } = typeof filter === "function" ? { handler: filter, raw: false } : filter;
    liquid.registerFilter(name, {
      raw,
      *handler(value: unknown, ...args: unknown[]) {
        this.context.renderLimit.check(performance.now());
        if (PLAIN_ARGUMENTS.has(name)) for (const argument of args) mustBePlain(name, lib.toValue(argument));
        if (name === "sort" || name === "sort_natural") mustBeSortable(lib.toValue(value), args[0]);
        const result: unknown = yield handler.apply(this, [value, ...args]);
        if (typeof result === "object" && result !== null) this.context.memoryLimit.use(unitsOf(result));
        return result;
      },
    });
  }
}

function meterRenderer({ renderer }: Liquid, { toValue }: Lib): void {
  const run = renderer.renderTemplates.bind(renderer);
  renderer.renderTemplates = (templates, context, emitter = emitterFor(context)) => {
    context.memoryLimit.use(LIQUID_STEP_UNITS * (templates.length + 1));
    return run(templates, context, emitter);
  };

  function emitterFor(context: Context): Emitter {
    return {
      buffer: "",
      write(value: unknown) {
        const text = asText(toValue(value));
        context.memoryLimit.use(text.length);
        this.buffer += text;
      },
    };
  }
}

/** As in `Simple`: text as it is, nothing for `null`, everything else as its compact JSON. */
function asText(value: unknown): string {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return "";
  return JSON.stringify(value) ?? "";
}

type Limits = { readonly memoryLimit: number; readonly renderLimit: number };

/** Makes contexts in which every look at a variable is counted and timed: between two of them little can happen. */
export function contextsOf(liquid: Liquid, lib: Lib, limits: Limits): (variables: object) => Context {
  class Metered extends lib.Context {
    override readProperty(object: Parameters<Context["readProperty"]>[0], key: Parameters<Context["readProperty"]>[1]): unknown {
      this.renderLimit.check(performance.now());
      this.memoryLimit.use(1);
      const name: unknown = lib.toValue(key);
      return typeof name === "object" && name !== null ? undefined : super.readProperty(object, key);
    }

    override spawn(scope: object = {}): Context {
      const { sync, globals, strictVariables, ownPropertyOnly, memoryLimit, renderLimit } = this;
      const options = { sync, globals, strictVariables, ownPropertyOnly };
      return new Metered(scope, this.opts, options, { memoryLimit, renderLimit, liquid });
    }
  }
  const { renderLimit: renderMs, memoryLimit } = limits;
  const WorkLimit = workLimitOf(lib, renderMs);
  return (variables) => new Metered(variables, liquid.options, { sync: true, memoryLimit }, { renderLimit: new WorkLimit(), liquid });
}

type TimeLimit = Context["renderLimit"];

/**
 * A limit for what this process works, not for the time that passes meanwhile: one that is throttled, or shares its CPU, would
 * refuse small templates. The clock is looked at first because it costs nothing.
 */
function workLimitOf(lib: Lib, ms: number): new () => TimeLimit {
  // The engine does not export the class of its limits; every context has one.
  const Limit = new lib.Context().renderLimit.constructor as new (resource: string, limit: number) => TimeLimit;
  return class extends Limit {
    readonly #untilMs: number;
    readonly #begun = process.cpuUsage();

    constructor() {
      const untilMs = performance.now() + ms;
      super("template render", untilMs);
      this.#untilMs = untilMs;
    }

    override check(nowMs: number): void {
      if (nowMs <= this.#untilMs) return;
      const { user, system } = process.cpuUsage(this.#begun);
      if ((user + system) / 1000 > ms) super.check(nowMs);
    }
  };
}

/** `allow_false: true` and the like come as a pair. */
function mustBePlain(filter: string, argument: unknown): void {
  const isPlain = typeof argument === "string" ? argument.length <= MAX_PLAIN : typeof argument !== "object" || argument === null;
  if (!isPlain) throw new Error(`the argument of ${filter} must be a short text or a number`);
}

/** Comparing lists would write them out as texts for each comparison. */
function mustBeSortable(list: unknown, property: unknown): void {
  if (!Array.isArray(list)) return;
  const path = typeof property === "string" ? property.split(".") : [];
  for (const item of list) {
    let key: unknown = item;
    for (const step of path) key = typeof key === "object" && key !== null ? Reflect.get(key, step) : undefined;
    if (typeof key === "object" && key !== null) throw new Error("only texts and numbers can be sorted");
  }
}

/** What a value would take if it were written out. Stops counting, and throws, past the limit. */
function unitsOf(value: object): number {
  let units = 0;
  const count = (inner: unknown): void => {
    units += typeof inner === "string" ? inner.length + 1 : 1;
    if (units > MAX_VALUE_UNITS) throw new Error("memory alloc limit exceeded");
    if (typeof inner !== "object" || inner === null) return;
    if (Array.isArray(inner)) for (const item of inner) count(item);
    else
      for (const [key, member] of Object.entries(inner)) {
        units += key.length;
        count(member);
      }
  };
  count(value);
  return units;
}
