// Why: what kubectl and the API server would make of the files: objects with uid, generation and age, one for each name. A
// bad edit keeps what was there, so that a typo never takes a running tenant away. No I/O, no secrets of its own.
import { digestOf } from "@nexus/protocol/canonical.ts";
import { checkResource, isOurs, type Resource } from "@nexus/protocol/resources/schema.ts";
import { complaintsAbout, identityOf } from "../files/check.ts";
import type { Loaded, LoadedObject, Problem } from "../files/load.ts";

/** An object and where it is written. */
export type Placed = { readonly id: string; readonly file: string; readonly line: (path: string) => number; readonly resource: Resource };
export type FolderState = {
  readonly objects: readonly Placed[];
  readonly problems: readonly Problem[];
  /** Bytes of a Secret that is in the files. */
  readonly secret: (namespace: string, name: string, key: string) => Uint8Array | undefined;
};

type Version = { readonly digest: string; readonly generation: number; readonly uid: string; readonly createdAt: string };

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

export class Folder {
  readonly #versions = new Map<string, Version>();
  #current = new Map<string, Placed>();
  readonly #adapt: (object: Record<string, unknown>) => Record<string, unknown>;
  #born = 0;

  /** `adapt` may add what only this machine needs to an object, before it is checked. */
  constructor(adapt: (object: Record<string, unknown>) => Record<string, unknown>) {
    this.#adapt = adapt;
  }

  /** Takes the files as they are now. */
  take(loaded: Loaded): FolderState {
    const problems: Problem[] = [...loaded.problems];
    const next = new Map<string, Placed>();
    for (const object of loaded.objects.filter(({ value }) => isOurs(value))) {
      const id = identityOf(object.value);
      const earlier = id === undefined ? undefined : next.get(id);
      if (id !== undefined && earlier) {
        problems.push({
          file: object.file,
          line: object.line("metadata.name"),
          message: `${id} is in ${earlier.file} already: this one is ignored`,
        });
        continue;
      }
      const complaints = complaintsAbout(object);
      problems.push(...complaints);
      const placed = id !== undefined && complaints.length === 0 ? this.#place(id, object) : id && this.#current.get(id);
      if (id !== undefined && placed) next.set(id, placed);
    }
    // Of a file that cannot be read whole, what is missing may be in the broken part.
    for (const [id, placed] of this.#current) if (!next.has(id) && loaded.broken.has(placed.file)) next.set(id, placed);
    for (const id of this.#versions.keys()) if (!next.has(id)) this.#versions.delete(id);
    this.#current = next;
    return { objects: [...next.values()], problems, secret: secretsOf(loaded.objects) };
  }

  #place(id: string, { value, file, line }: LoadedObject): Placed | undefined {
    const checked = checkResource(this.#adapt(value));
    if (!checked.ok) return undefined;
    const { resource } = checked;
    const digest = digestOf(resource.spec);
    const known = this.#versions.get(id);
    const version: Version =
      known?.digest === digest
        ? known
        : {
            digest,
            generation: (known?.generation ?? 0) + 1,
            uid: known?.uid ?? crypto.randomUUID(),
            // Older is who stands first: files by name, objects from the top.
            createdAt: known?.createdAt ?? new Date(this.#born++ * 1000).toISOString(),
          };
    this.#versions.set(id, version);
    const { uid, generation, createdAt: creationTimestamp } = version;
    const metadata = { namespace: "default", ...resource.metadata, uid, generation, creationTimestamp };
    return { id, file, line, resource: { ...resource, metadata } };
  }
}

function secretsOf(objects: readonly LoadedObject[]): FolderState["secret"] {
  const texts = new Map<string, Uint8Array>();
  for (const { value } of objects) {
    if (value.apiVersion !== "v1" || value.kind !== "Secret" || !isRecord(value.metadata)) continue;
    const { name, namespace = "default" } = value.metadata;
    const put = (key: string, bytes: Uint8Array) => texts.set(`${String(namespace)}/${String(name)}/${key}`, bytes);
    if (isRecord(value.data)) for (const [key, text] of Object.entries(value.data)) put(key, Buffer.from(String(text), "base64"));
    if (isRecord(value.stringData)) for (const [key, text] of Object.entries(value.stringData)) put(key, Buffer.from(String(text)));
  }
  return (namespace, name, key) => texts.get(`${namespace}/${name}/${key}`);
}
