// Why: the parts of a parsed expression under the names the reader uses, so that it speaks of selectors and matchers and not of
// the grammar's nodes. Pure.
import type { SyntaxNode, Tree } from "@lezer/common";

/** A parsed expression and the text its nodes point into. */
export type Source = { readonly text: string };

/** The first place the grammar could not read. */
export function firstError(tree: Tree): SyntaxNode | undefined {
  let found: SyntaxNode | undefined;
  tree.iterate({
    enter: (node) => {
      if (node.type.isError) found ??= node.node;
    },
  });
  return found;
}

const EXPRESSIONS = new Set([
  ...["BinaryExpr", "AggregateExpr", "FunctionCall", "ParenExpr", "StringLiteral", "NumberDurationLiteral", "SubqueryExpr"],
  ...["UnaryExpr", "VectorSelector", "MatrixSelector", "OffsetExpr", "StepInvariantExpr"],
]);

export const childrenOf = (node: SyntaxNode): readonly SyntaxNode[] => {
  const children: SyntaxNode[] = [];
  for (let child = node.firstChild; child; child = child.nextSibling) children.push(child);
  return children;
};
export const expressionsIn = (node: SyntaxNode): readonly SyntaxNode[] => childrenOf(node).filter(({ name }) => EXPRESSIONS.has(name));
export const firstExpression = (node: SyntaxNode): SyntaxNode | undefined => expressionsIn(node)[0];
export const textOf = ({ text }: Source, node: SyntaxNode): string => text.slice(node.from, node.to);
export const labelNamesIn = (source: Source, node: SyntaxNode): readonly string[] =>
  node.getChildren("LabelName").map((name) => textOf(source, name));
export const unquoted = (literal: string): string => (literal.startsWith('"') ? String(JSON.parse(literal)) : literal.slice(1, -1));

/** Arguments of a call or of an aggregation, in order. */
export function argumentsOf(node: SyntaxNode): readonly SyntaxNode[] {
  const body = node.getChild("FunctionCallBody");
  return body ? expressionsIn(body) : [];
}

export type Matcher = { readonly label: string; readonly operator: string; readonly value: string };

/** What stands in the braces of a selector. */
export function matchersOf(selector: SyntaxNode, source: Source): readonly Matcher[] {
  const braces = selector.getChild("LabelMatchers");
  return (braces ? childrenOf(braces) : []).flatMap((matcher) => {
    const [label, operator, value] = [matcher.getChild("LabelName"), matcher.getChild("MatchOp"), matcher.getChild("StringLiteral")];
    if (!label || !operator || !value) return [];
    return [{ label: textOf(source, label), operator: textOf(source, operator), value: unquoted(textOf(source, value)) }];
  });
}

/** The metric a selector names, also as `{__name__="…"}`. */
export function nameOf(selector: SyntaxNode, source: Source): string | undefined {
  const identifier = selector.getChild("Identifier");
  if (identifier) return textOf(source, identifier);
  return matchersOf(selector, source).find(({ label, operator }) => label === "__name__" && operator === "=")?.value;
}

/** Whether some value of a closed list passes the matcher; text with a variable of Grafana, or none, always may. */
export function canMatch({ operator, value }: Matcher, values: readonly string[] | undefined): boolean {
  if (!values || value === "" || value.includes("$")) return true;
  const pattern = new RegExp(`^(?:${value})$`);
  // Each part of `a|b` has to be possible: one that is not is a slip of the pen.
  const parts = /^[\w|]+$/.test(value) ? value.split("|") : undefined;
  if (operator === "=" || operator === "!=") return values.includes(value);
  return parts ? parts.every((part) => values.includes(part)) : values.some((one) => pattern.test(one));
}
