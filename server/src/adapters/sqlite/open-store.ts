// Why: a file that was opened is not yet one that can be trusted: whether its places still hold is decided here, before
// anybody reads or writes. It must leave the file closed when it throws.
import type { Database } from "bun:sqlite";
import type { Ids, Log } from "../../core/ports.ts";
import { openDatabase, reasonOf } from "./database.ts";
import { Meta } from "./meta.ts";
import { bootId, runOf, Seal, type Synchronous } from "./seal.ts";

export type OpenStoreOptions = {
  readonly file: string;
  readonly synchronous: Synchronous;
  readonly ids: Pick<Ids, "epoch">;
  readonly log: Log;
  /** Tests put a disk in its place that is full or fails. */
  readonly open?: typeof openDatabase;
};

export type OpenStore = {
  readonly db: Database;
  readonly meta: Meta;
  readonly seal: Seal;
  /** As `OpenDatabase.sync`. */
  sync(): Promise<void>;
  /** `isWhole`: everything that was acknowledged is in the file, so that the next run may trust it. */
  close(isWhole: boolean): Promise<void>;
};

/** @throws Error, fit to be shown, when the file cannot be used */
export async function openStore({ file, synchronous, ids, log, open = openDatabase }: OpenStoreOptions): Promise<OpenStore> {
  const { db, isNew, sync, close } = open(file);
  try {
    const meta = new Meta(db, ids);
    const seal = new Seal(file, meta);
    const boot = bootId();
    const doubt = isNew ? undefined : seal.doubt(boot);
    if (doubt !== undefined) {
      log.warn("sqlite.epochs_renewed", { file, reason: doubt });
      db.transaction(() => meta.renewEpochs()).immediate();
      meta.settled(true);
    }
    meta.run = runOf(synchronous, boot);
    await sync();
    await seal.write();
    return {
      ...{ db, meta, seal, sync },
      async close(isWhole) {
        try {
          if (!isWhole) return;
          meta.run = null;
          await sync();
          await seal.write();
        } finally {
          close();
        }
      },
    };
  } catch (error) {
    close();
    throw new Error(reasonOf(error, file), { cause: error });
  }
}
