// Why: what every API server refuses about metadata, whatever the kind, so that a file is not called good that cannot be
// applied. Pure.
import { DNS_LABEL_PATTERN, DNS_SUBDOMAIN_PATTERN } from "@nexus/protocol/resources/names.ts";
import type { Complaint } from "@nexus/protocol/resources/rules.ts";

const QUALIFIED_NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const SUBDOMAIN = new RegExp(DNS_SUBDOMAIN_PATTERN, "u");
const LABEL = new RegExp(DNS_LABEL_PATTERN, "u");
const NAME_CHARACTERS = 253;
const ANNOTATION_BYTES = 262_144;

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

/** What is wrong with an object's name, namespace, labels and annotations. Whether a name is there is checked elsewhere. */
export function metadataComplaints(metadata: unknown): readonly Complaint[] {
  if (!isRecord(metadata)) return [];
  const { name, namespace, labels, annotations } = metadata;
  const complaints: Complaint[] = [];
  const say = (path: string, message: string) => complaints.push({ path: `metadata.${path}`, message });
  if (name !== undefined && typeof name !== "string") say("name", "must be a string; quote it");
  else if (name && (name.length > NAME_CHARACTERS || !SUBDOMAIN.test(name)))
    say("name", "must be a-z, 0-9, '-' and '.', start and end with a letter or digit, and have at most 253 characters");
  if (namespace !== undefined && namespace !== null && namespace !== "") {
    if (typeof namespace !== "string") say("namespace", "must be a string; quote it");
    else if (!LABEL.test(namespace))
      say("namespace", "must be a-z, 0-9 and '-', start and end with a letter or digit, at most 63 characters");
  }
  for (const [key, value] of entriesOf(labels, "labels", say)) {
    if (value !== "" && !QUALIFIED_NAME.test(value))
      say(`labels.${key}`, "must be empty, or at most 63 of A-Z, a-z, 0-9, '-', '_' and '.', with a letter or digit at both ends");
  }
  const texts = entriesOf(annotations, "annotations", say);
  const bytes = texts.reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0);
  if (bytes > ANNOTATION_BYTES) say("annotations", `have ${bytes} bytes, ${ANNOTATION_BYTES} are allowed`);
  return complaints;
}

/** The members whose values are strings; what is wrong with the others, and with keys, is said. */
function entriesOf(map: unknown, field: string, say: (path: string, message: string) => void): readonly (readonly [string, string])[] {
  if (map === undefined || map === null) return [];
  if (!isRecord(map)) {
    say(field, "must be an object");
    return [];
  }
  return Object.entries(map).flatMap(([key, value]) => {
    const slash = key.indexOf("/");
    const [prefix, name] = slash < 0 ? [undefined, key] : [key.slice(0, slash), key.slice(slash + 1)];
    const isPrefixRight =
      prefix === undefined || (prefix.length <= NAME_CHARACTERS && SUBDOMAIN.test(field === "labels" ? prefix : prefix.toLowerCase()));
    if (!isPrefixRight || !QUALIFIED_NAME.test(name))
      say(`${field}.${key}`, "the key must be a name of at most 63 characters, or a DNS name, '/' and such a name");
    if (typeof value === "string") return [[key, value] as const];
    if (value !== null) say(`${field}.${key}`, "must be a string; quote it");
    return [];
  });
}
