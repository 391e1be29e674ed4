// Why: a support bundle leaves the house. Nothing that opens a door may be in it: not in a Secret, not in a variable, not in an
// address, not in a line of a log. Pure; when in doubt it takes out too much.

export const REDACTED = "<redacted>";

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

/** Members, variables and settings whose value is nobody's business. */
const TELLING =
  /pass(word|wd|phrase)?|secret|token|credential|api[-_]?key|private[-_]?key|access[-_]?key|auth(orization)?$|cookie|dsn|connection[-_]?string/i;
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g, REDACTED],
  [/\beyJ[\w-]{4,}\.[\w-]+\.[\w-]*/g, REDACTED], // a JSON Web Token
  [/\bnxk_[\w-]+/g, REDACTED],
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s/@"']+@/gi, `$1${REDACTED}@`],
  [/\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${REDACTED}`],
  [/\b(requirepass|masterauth)\s+\S+/gi, `$1 ${REDACTED}`],
  [/([?&](?:token|access_token|ticket|key|api_key|apikey|password|secret)=)[^&\s"']+/gi, `$1${REDACTED}`],
  [
    /((?:password|passwd|passphrase|secret|token|api[-_]?key|private[-_]?key|authorization|cookie)["']?[ \t]*[:=][ \t]*)(?!(?:true|false|null)\b)("[^"]*"|'[^']*'|[^\s,;}&]+)/gi,
    `$1${REDACTED}`,
  ],
];

/** Members that name a Secret or a key of it, and hold none. */
const isReference = (member: string): boolean => /^(name|key)$|(Name|Ref)$/.test(member);

/** Shorter values stand in ordinary words too. */
const MIN_CHARACTERS = 6;

export type Redactor = {
  /** A text without what looks like a secret, and without what is one. */
  text(text: string): string;
  /** An object as it may be shown: no data of Secrets, no values of variables, no copies in annotations. */
  object(value: unknown): unknown;
  /** How often something was taken out. */
  readonly count: () => number;
};

/** `known`: values of Secrets, which are taken out wherever they stand, also encoded. */
export function createRedactor(known: Iterable<string>): Redactor {
  let taken = 0;
  const values = knownForms(known);
  const text = (input: string): string => {
    let output = input;
    for (const value of values) {
      if (!output.includes(value)) continue;
      taken++;
      output = output.replaceAll(value, REDACTED);
    }
    for (const [pattern, replacement] of PATTERNS)
      output = output.replace(pattern, (match: string, ...groups: unknown[]) => {
        if (match.includes(REDACTED)) return match;
        taken++;
        return replacement.replace("$1", String(groups[0] ?? ""));
      });
    return output;
  };
  const object = (value: unknown, name = ""): unknown => {
    if (typeof value === "string") return TELLING.test(name) && value !== "" ? take() : text(value);
    if (Array.isArray(value)) return value.map((item) => (name === "env" && isRecord(item) ? variable(item) : object(item, name)));
    if (!isRecord(value)) return value;
    if (value.kind === "Secret") return secret(value);
    const shown = Object.entries(value).filter(
      ([member]) => member !== "managedFields" && !member.startsWith("kubectl.kubernetes.io/last-applied"),
    );
    // A reference names a Secret and holds none.
    return Object.fromEntries(shown.map(([member, inner]) => [member, object(inner, isReference(member) ? "" : member)]));
  };
  const take = (): string => {
    taken++;
    return REDACTED;
  };
  /** What the operator sets is known to hold nothing; what others set may hold anything. */
  const variable = (entry: Record<string, unknown>): unknown => {
    if (typeof entry.value !== "string") return object(entry);
    const isOurs = typeof entry.name === "string" && entry.name.startsWith("NEXUS_") && !TELLING.test(entry.name.replace(/_FILE$/, ""));
    const isFile = typeof entry.name === "string" && entry.name.endsWith("_FILE");
    return { ...entry, value: isOurs || isFile ? text(entry.value) : take() };
  };
  const secret = ({ data, stringData, ...rest }: Record<string, unknown>): unknown => {
    const keys = [data, stringData].flatMap((map) => (isRecord(map) ? Object.keys(map) : []));
    return { ...(object({ ...rest, kind: "" }) as object), kind: "Secret", keys: keys.sort() };
  };
  return { text, object: (value) => object(value), count: () => taken };
}

/** As they are, as base64 and as in a URL; longest first, so that no part of a longer one is left. */
function knownForms(known: Iterable<string>): readonly string[] {
  const forms = new Set<string>();
  for (const value of known) {
    const trimmed = value.trim();
    if (trimmed.length < MIN_CHARACTERS) continue;
    for (const form of [
      trimmed,
      Buffer.from(value).toString("base64"),
      Buffer.from(trimmed).toString("base64"),
      encodeURIComponent(trimmed),
      JSON.stringify(trimmed).slice(1, -1),
    ])
      forms.add(form);
  }
  return [...forms].sort((a, b) => b.length - a.length);
}
