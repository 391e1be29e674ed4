// Why: a link that leads nowhere is found by the reader who needs it. Markdown in, broken links out; addresses outside of the
// repository are not dialled. Pure.
import { dirname, join, normalize } from "node:path";

/** Every Markdown page by its path in the repository, and every other path a link may lead to. */
export type Pages = ReadonlyMap<string, string>;

/** Text of a page without code: what is in backticks is no link and no heading. */
const prose = (text: string) => text.replace(/^ *```[\s\S]*?^ *```/gm, "").replace(/<!--[\s\S]*?-->/g, "");

/** Anchors that GitHub gives the headings of a page. */
export function anchorsOf(text: string): ReadonlySet<string> {
  const found = new Set<string>();
  const counts = new Map<string, number>();
  for (const [, heading = ""] of prose(text).matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll(/[`*]/g, "");
    const slug = plain
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}_\- ]/gu, "")
      .replaceAll(" ", "-");
    const before = counts.get(slug) ?? 0;
    counts.set(slug, before + 1);
    found.add(before === 0 ? slug : `${slug}-${before}`);
  }
  for (const [, id = ""] of text.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) found.add(id);
  return found;
}

/** Targets of all links and images of a page, as they are written. */
export function linksIn(text: string): readonly string[] {
  const outside = prose(text).replaceAll(/`[^`\n]*`/g, (code) => "x".repeat(code.length));
  return [
    ...[...outside.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)].map(([, target = ""]) => target),
    ...[...outside.matchAll(/^\s*\[[^\]]+\]:\s*(\S+)/gm)].map(([, target = ""]) => target),
  ];
}

/** What is wrong with the links of `pages`. `exists`: whether a path of the repository is a file or a folder. */
export function brokenLinks(pages: Pages, exists: (path: string) => boolean, runbookBase: string): readonly string[] {
  return [...pages].flatMap(([path, text]) => linksIn(text).flatMap((target) => broken(path, target, { pages, exists, runbookBase })));
}

type Where = { readonly pages: Pages; readonly exists: (path: string) => boolean; readonly runbookBase: string };

function broken(from: string, target: string, { pages, exists, runbookBase }: Where): readonly string[] {
  if (target.startsWith(`${runbookBase}/`)) {
    const page = `docs/runbooks/${target.slice(runbookBase.length + 1)}.md`;
    return pages.has(page) ? [] : [`${from}: ${target} leads nowhere: there is no ${page}`];
  }
  if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return [];
  const [file = "", anchor = ""] = target.split("#", 2);
  const path = file === "" ? from : normalize(join(file.startsWith("/") ? "" : dirname(from), decodeURIComponent(file))).replace(/\/$/, "");
  const text = pages.get(path);
  if (text === undefined && !exists(path)) return [`${from}: ${target} leads nowhere: there is no ${path}`];
  if (anchor !== "" && text !== undefined && !anchorsOf(text).has(anchor))
    return [`${from}: ${target} leads nowhere: ${path} has no such heading`];
  return [];
}
