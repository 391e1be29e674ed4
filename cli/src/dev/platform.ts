// Why: files in, a configured server out, again after each edit. It holds the one rule of reloading: what cannot be used
// leaves in place what was used before.
import type { RunningServer } from "@nexus/server/server.ts";
import { loadFiles, type Problem } from "../files/load.ts";
import { adaptForDev } from "./adapt.ts";
import { compileFolder, type DevBundle } from "./compile.ts";
import { createFeed, type Feed } from "./feed.ts";
import { Folder, type FolderState, type Placed } from "./folder.ts";
import { Keyring } from "./keyring.ts";

export type PlatformOptions = { readonly paths: readonly string[]; readonly clusterName?: string; readonly state?: string };
/** `changed`: whether anything went live. */
export type Reloaded = { readonly problems: readonly Problem[]; readonly notes: readonly string[]; readonly changed: boolean };

const NOTHING: DevBundle = { cluster: "", entries: [], tenants: [], platformKey: "", problems: [], notes: [], refused: new Set() };

export class Platform {
  readonly #options: PlatformOptions;
  readonly #keyring: Keyring;
  readonly #folder = new Folder(adaptForDev);
  /** The last version of each object that could be used. */
  #good = new Map<string, Placed>();
  #bundle = NOTHING;
  #feed: Feed | undefined;

  private constructor(options: PlatformOptions, keyring: Keyring) {
    this.#options = options;
    this.#keyring = keyring;
  }

  static async open(options: PlatformOptions): Promise<Platform> {
    return new Platform(options, await Keyring.open(options.state));
  }

  bundle(): DevBundle {
    return this.#bundle;
  }

  /** Reads the files and makes what they say live. Never rejects because of what is in them. */
  async load({ live, url }: Pick<RunningServer, "live" | "url">): Promise<Reloaded> {
    const loaded = await loadFiles(this.#options.paths);
    const before = this.#bundle;
    const { bundle, problems } = this.#compile(this.#folder.take(loaded), originsOf(url));
    this.#feed ??= createFeed(live);
    const unused = this.#feed(bundle.entries).map((message) => ({ file: "server", message }));
    this.#bundle = bundle;
    await this.#keyring.save();
    const notes = bundle.notes.filter((note) => !before.notes.includes(note));
    return { problems: [...problems, ...unused], notes, changed: digests(before) !== digests(bundle) };
  }

  #compile(state: FolderState, origins: readonly string[]): { readonly bundle: DevBundle; readonly problems: readonly Problem[] } {
    const { clusterName } = this.#options;
    const previous = this.#bundle.cluster === "" ? {} : { previous: this.#bundle.cluster };
    const options = { keyring: this.#keyring, origins, ...previous, ...(clusterName === undefined ? {} : { clusterName }) };
    const tried = compileFolder(state, options);
    const problems = [...state.problems, ...tried.problems];
    const restored = state.objects.map((one) => (tried.refused.has(one.id) ? (this.#good.get(one.id) ?? one) : one));
    this.#good = new Map(restored.flatMap((one) => (tried.refused.has(one.id) && !this.#good.has(one.id) ? [] : [[one.id, one]])));
    const hasRestored = restored.some((one, at) => one !== state.objects[at]);
    return { bundle: hasRestored ? compileFolder({ ...state, objects: restored }, options) : tried, problems };
  }
}

const digests = ({ entries }: DevBundle): string => entries.map(({ digest }) => digest).join();

/** The console's own origins: both names of the machine. */
function originsOf(url: string): readonly string[] {
  const { port } = new URL(url);
  return [`http://127.0.0.1:${port}`, `http://localhost:${port}`, `http://[::1]:${port}`];
}
