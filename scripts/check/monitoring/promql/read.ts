// Why: an expression is read with Prometheus' own grammar, and its labels are followed from the selectors to the result, so that
// a metric nobody exports, a label it does not have, or two sides that can never match are found without any data. Pure.
import type { SyntaxNode } from "@lezer/common";
import { parser } from "@prometheus-io/lezer-promql";
import type { Catalogue, Labels } from "../catalogue.ts";
import { joined, type Matching } from "./sides.ts";
import {
  argumentsOf,
  canMatch,
  childrenOf,
  expressionsIn,
  firstError,
  firstExpression,
  labelNamesIn,
  type Matcher,
  matchersOf,
  nameOf,
  textOf,
  unquoted,
} from "./tree.ts";

/** `labels`: those of the result; undefined when they are not known, then nothing is said of them. */
export type Verdict = { readonly labels: Labels | undefined; readonly complaints: readonly string[] };

type Value = { readonly scalar: true } | { readonly scalar: false; readonly labels: Labels | undefined };
type Reader = { readonly text: string; readonly catalogue: Catalogue; readonly complain: (what: string) => void };

const SCALAR: Value = { scalar: true };
const UNKNOWN: Value = { scalar: false, labels: undefined };
const vector = (always: Iterable<string>, possible?: Iterable<string>): Value => ({
  scalar: false,
  labels: { always: new Set(always), possible: new Set(possible ?? always) },
});

const withoutVariables = (expr: string) => expr.replace(/\$__(rate_interval|interval|range)\b/g, "5m");

/** `expr`: PromQL; Grafana's `$__rate_interval` and its like stand for five minutes, other variables only inside of quotes. */
export function readExpression(expr: string, catalogue: Catalogue): Verdict {
  const text = withoutVariables(expr);
  const complaints = new Set<string>();
  const tree = parser.parse(text);
  const broken = firstError(tree);
  if (broken) return { labels: undefined, complaints: [`is no PromQL at "${text.slice(broken.from, broken.from + 20)}"`] };
  const expression = firstExpression(tree.topNode);
  if (!expression) return { labels: undefined, complaints: ["is empty"] };
  const value = read(expression, { text, catalogue, complain: (what) => complaints.add(what) });
  return { labels: value.scalar ? { always: new Set(), possible: new Set() } : value.labels, complaints: [...complaints] };
}

/** Every selector of `expr`, with the metric it names; none when it is no PromQL. */
export function selectorsIn(expr: string): readonly { readonly name: string | undefined; readonly matchers: readonly Matcher[] }[] {
  const source = { text: withoutVariables(expr) };
  const found: { readonly name: string | undefined; readonly matchers: readonly Matcher[] }[] = [];
  parser.parse(source.text).iterate({
    enter: ({ name, node }) => {
      if (name === "VectorSelector") found.push({ name: nameOf(node, source), matchers: matchersOf(node, source) });
    },
  });
  return found;
}

function read(node: SyntaxNode, reader: Reader): Value {
  switch (node.name) {
    case "NumberDurationLiteral":
    case "StringLiteral":
      return SCALAR;
    case "VectorSelector":
      return readSelector(node, reader);
    case "AggregateExpr":
      return readAggregation(node, reader);
    case "FunctionCall":
      return readCall(node, reader);
    case "BinaryExpr":
      return readBinary(node, reader);
    default: {
      const inner = firstExpression(node); // brackets, signs, ranges, offsets: the labels of what is inside
      return inner ? read(inner, reader) : UNKNOWN;
    }
  }
}

function readSelector(node: SyntaxNode, reader: Reader): Value {
  const name = nameOf(node, reader);
  if (name === undefined) {
    reader.complain("selects series without naming a metric");
    return UNKNOWN;
  }
  const series = reader.catalogue.get(name);
  if (!series) {
    reader.complain(`names ${name}, which no registry exports`);
    return UNKNOWN;
  }
  if (!series.labels) return UNKNOWN;
  const { always, possible } = series.labels;
  const matchers = matchersOf(node, reader).filter(({ label }) => label !== "__name__");
  for (const matcher of matchers) {
    if (!possible.has(matcher.label)) reader.complain(`asks for label ${matcher.label}, which ${name} does not have`);
    else if (!canMatch(matcher, series.values[matcher.label]))
      reader.complain(`asks for ${matcher.label}${matcher.operator}"${matcher.value}", which ${name} never says`);
  }
  const named = matchers.filter(({ operator, value }) => operator === "=" && value !== "").map(({ label }) => label);
  // A label that only some series of the name have is a label of all that pass a matcher of it.
  return vector([...always, ...named], [...possible, ...named]);
}

/** Operators whose result is some of the series they were given, labels and all. */
const SELECTING = new Set(["topk", "bottomk", "limitk", "limit_ratio"]);

function readAggregation(node: SyntaxNode, reader: Reader): Value {
  const operator = textOf(reader, node.getChild("AggregateOp") ?? node);
  const given = argumentsOf(node);
  const operand = given.at(-1);
  const value = operand ? read(operand, reader) : UNKNOWN;
  const labels = value.scalar ? undefined : value.labels;
  const modifier = node.getChild("AggregateModifier");
  const grouping = modifier?.getChild("GroupingLabels");
  const named = grouping ? labelNamesIn(reader, grouping) : [];
  if (labels)
    for (const label of named)
      if (!labels.possible.has(label))
        reader.complain(`groups by label ${label}, which "${operand ? textOf(reader, operand) : ""}" does not have`);
  if (SELECTING.has(operator)) return value;
  const extra = operator === "count_values" && given[0] ? [unquoted(textOf(reader, given[0]))] : [];
  if (modifier?.getChild("Without")) {
    if (!labels) return UNKNOWN;
    const kept = (some: ReadonlySet<string>) => [...some].filter((label) => !named.includes(label)).concat(extra);
    return vector(kept(labels.always), kept(labels.possible));
  }
  const kept = labels ? named.filter((label) => labels.always.has(label)) : named;
  return vector([...kept, ...extra], [...named, ...extra]);
}

const OF_COUNTERS = new Set(["rate", "irate", "increase"]);
const NUMBERS = new Set(["time", "pi", "scalar"]);

function readCall(node: SyntaxNode, reader: Reader): Value {
  const name = textOf(reader, node.getChild("FunctionIdentifier") ?? node);
  const given = argumentsOf(node);
  const values = given.map((one) => read(one, reader));
  const first = values.find((value) => !value.scalar) ?? UNKNOWN;
  const text = (at: number) => (given[at] ? unquoted(textOf(reader, given[at])) : "");
  if (NUMBERS.has(name)) return SCALAR;
  if (name === "vector" || given.length === 0) return vector([]);
  if (name === "absent" || name === "absent_over_time") return vector(labelsOfAbsent(given[0], reader));
  if (OF_COUNTERS.has(name)) complainOfGauges(name, given[0], reader);
  if (first.scalar || !first.labels) return UNKNOWN;
  const { always, possible } = first.labels;
  if (name === "histogram_quantile") {
    if (!possible.has("le")) reader.complain("takes histogram_quantile of series without le");
    const without = (some: ReadonlySet<string>) => [...some].filter((label) => label !== "le");
    return vector(without(always), without(possible));
  }
  if (name === "label_replace" || name === "label_join") {
    const sources = name === "label_replace" ? [text(3)] : given.slice(3).map((one) => unquoted(textOf(reader, one)));
    for (const source of sources)
      if (source !== "" && !possible.has(source)) reader.complain(`reads label ${source} in ${name}, which is not there`);
    return vector([...always, text(1)], [...possible, text(1)]);
  }
  return first;
}

/** `absent` keeps the labels that its selector says outright. */
function labelsOfAbsent(selector: SyntaxNode | undefined, reader: Reader): readonly string[] {
  let inner = selector;
  while (inner && inner.name !== "VectorSelector") {
    if (inner.name !== "MatrixSelector" && inner.name !== "ParenExpr") return [];
    inner = firstExpression(inner);
  }
  if (!inner) return [];
  return matchersOf(inner, reader).flatMap(({ label, operator }) => (operator === "=" && label !== "__name__" ? [label] : []));
}

function complainOfGauges(call: string, range: SyntaxNode | undefined, reader: Reader): void {
  const selector = range?.name === "OffsetExpr" ? firstExpression(range) : range;
  const inner = selector?.name === "MatrixSelector" ? firstExpression(selector) : undefined;
  const name = inner ? nameOf(inner, reader) : undefined;
  if (name && reader.catalogue.get(name)?.type === "gauge") reader.complain(`takes ${call} of ${name}, which is a gauge`);
}

function readBinary(node: SyntaxNode, reader: Reader): Value {
  const [leftNode, rightNode] = expressionsIn(node);
  if (!leftNode || !rightNode) return UNKNOWN;
  const [left, right] = [read(leftNode, reader), read(rightNode, reader)];
  if (left.scalar) return right;
  if (right.scalar) return left;
  if (!left.labels || !right.labels) return UNKNOWN;
  const { labels, complaints } = joined(left.labels, right.labels, matchingOf(node, reader));
  for (const complaint of complaints) reader.complain(complaint);
  return { scalar: false, labels };
}

/** What stands between the two sides of an operator. */
function matchingOf(node: SyntaxNode, reader: Reader): Matching {
  const set = childrenOf(node).find(({ name }) => name === "And" || name === "Or" || name === "Unless")?.name;
  const clause = node.getChild("MatchingModifierClause");
  const parts = clause ? childrenOf(clause) : [];
  const named = (keyword: string) => {
    const at = parts.findIndex(({ name }) => name === keyword);
    const next = parts[at + 1];
    return at < 0 ? undefined : next?.name === "GroupingLabels" ? labelNamesIn(reader, next) : [];
  };
  return { set, on: named("On"), ignoring: named("Ignoring"), groupLeft: named("GroupLeft"), groupRight: named("GroupRight") };
}
