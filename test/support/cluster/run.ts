// Why: a test run that is killed cannot clean up. Each run therefore writes down what it made before it goes on, and the
// next run removes what runs without a living owner left. It must never touch a process, link or folder nobody recorded.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { cachePath, withLock } from "../../../scripts/host/cache.ts";
import { identify, isRunning, killAll, type ProcessIdentity } from "../processes.ts";
import { removeNodeTraces } from "./node-network.ts";

type RunRecord = {
  readonly owner: ProcessIdentity;
  readonly directory: string;
  /** Number of the node cluster (addresses, link and cgroup derive from it); absent for a bare control plane. */
  readonly node?: number;
  readonly processes: readonly ProcessIdentity[];
};

/** One cluster's folder and the record of its processes. */
export class Run {
  #record: RunRecord;

  private constructor(record: RunRecord) {
    this.#record = record;
  }

  /**
   * Removes what dead runs left, then opens a new run with a private folder under the machine's temporary folder.
   * @param chooseNode picks a node number while no other run can; it gets the numbers taken
   */
  static async open(chooseNode?: (taken: ReadonlySet<number>) => number): Promise<Run> {
    return await withLock(recordPath("runs.lock"), async () => {
      const living = await sweep();
      const owner = identify(process.pid);
      if (!owner) throw new Error("this process cannot see itself: is /proc mounted?");
      const directory = mkdtempSync(join(tmpdir(), "nexus-cluster-"));
      const taken = new Set(living.flatMap(({ node }) => (node === undefined ? [] : [node])));
      const run = new Run({ owner, directory, processes: [], ...(chooseNode ? { node: chooseNode(taken) } : {}) });
      run.#save();
      return run;
    });
  }

  get directory(): string {
    return this.#record.directory;
  }

  get node(): number | undefined {
    return this.#record.node;
  }

  /** Remembers a process, so that a later run can end it when this one cannot. */
  remember(known: ProcessIdentity): void {
    this.#record = { ...this.#record, processes: [...this.#record.processes.filter(isRunning), known] };
    this.#save();
  }

  /** Ends every remembered process and removes every trace. May be called twice. */
  async close(): Promise<void> {
    await removeTraces(this.#record);
  }

  #save(): void {
    const path = recordPath(`${basename(this.#record.directory)}.json`);
    writeFileSync(`${path}.new`, JSON.stringify(this.#record), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
}

const recordPath = (name: string) => {
  mkdirSync(cachePath("cluster-runs"), { recursive: true });
  return cachePath("cluster-runs", name);
};

/** Cleans up after runs whose owner is gone; returns the records of those that live. */
async function sweep(): Promise<RunRecord[]> {
  const living: RunRecord[] = [];
  for (const name of readdirSync(cachePath("cluster-runs"))) {
    if (!name.endsWith(".json")) continue;
    const record = readRecord(name);
    if (!record) continue;
    if (isRunning(record.owner)) living.push(record);
    else await removeTraces(record);
  }
  return living;
}

/** Undefined: its own run ended while we looked, and took it away. */
function readRecord(name: string): RunRecord | undefined {
  try {
    // Our own file, renamed into place whole.
    return JSON.parse(readFileSync(recordPath(name), "utf8")) as RunRecord;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

async function removeTraces(record: RunRecord): Promise<void> {
  await killAll(record.processes);
  if (record.node !== undefined) await removeNodeTraces(record.node);
  rmSync(record.directory, { recursive: true, force: true });
  rmSync(recordPath(`${basename(record.directory)}.json`), { force: true });
}
