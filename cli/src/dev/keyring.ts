// Why: files name Secrets that belong in no file. On this machine they are made up when first asked for, and kept: in memory,
// or in a state folder so that a restart keeps tokens and keys valid. It must never write one anywhere else.
import { randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

const FILE = "secrets.json";

export type SecretName = { readonly namespace: string; readonly name: string; readonly key: string };
const idOf = ({ namespace, name, key }: SecretName): string => `${namespace}/${name}/${key}`;

export class Keyring {
  readonly #texts: Map<string, string>;
  readonly #folder: string | undefined;
  #isSaved = true;

  private constructor(texts: Map<string, string>, folder: string | undefined) {
    this.#texts = texts;
    this.#folder = folder;
  }

  /** Without a folder nothing outlives the process. @throws Error when the folder's file is not what this wrote */
  static async open(folder?: string): Promise<Keyring> {
    if (folder === undefined) return new Keyring(new Map(), undefined);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, FILE);
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "{}";
      throw error;
    });
    const entries = entriesOf(text);
    if (!entries) throw new Error(`${path} is damaged: remove it to have new keys made`);
    return new Keyring(new Map(entries), folder);
  }

  get(name: SecretName): string | undefined {
    return this.#texts.get(idOf(name));
  }

  /** The text of this Secret, made now if there is none. `prefix` says what it is for whoever finds it. */
  ensure(name: SecretName, prefix: string): string {
    const known = this.#texts.get(idOf(name));
    if (known !== undefined) return known;
    const made = prefix + randomBytes(32).toString("base64url");
    this.#texts.set(idOf(name), made);
    this.#isSaved = false;
    return made;
  }

  /** Writes what is new, readable for this user only; a crash leaves the old file or the new one. */
  async save(): Promise<void> {
    if (this.#folder === undefined || this.#isSaved) return;
    const path = join(this.#folder, FILE);
    const temporary = `${path}.${process.pid}`;
    await writeFile(temporary, `${JSON.stringify(Object.fromEntries(this.#texts), undefined, 2)}\n`, { mode: 0o600 });
    await chmod(temporary, 0o600);
    await rename(temporary, path);
    this.#isSaved = true;
  }
}

function entriesOf(text: string): [string, string][] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    const entries = Object.entries(value);
    return entries.every((entry): entry is [string, string] => typeof entry[1] === "string") ? entries : undefined;
  } catch {
    return undefined; // the caller names the file
  }
}
