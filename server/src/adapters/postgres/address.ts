// Why: the database's address lies in a file that is replaced when its password is rotated: whoever connects anew gets
// what the file says then. It must never show what is in the file, nor throw after the start.
import { readFileSync } from "node:fs";
import type { Log } from "../../core/ports.ts";

const NAME = "NEXUS_POSTGRES_URL_FILE";

/** Reads the file once. What it returns keeps the last good address. @throws Error naming the setting when it cannot be used */
export function addressFrom(urlFile: string, log: Pick<Log, "warn">): () => string {
  let last = read(urlFile);
  return () => {
    try {
      last = read(urlFile);
    } catch (error) {
      log.warn("postgres.address_not_read", { error: String(error) });
    }
    return last;
  };
}

function read(urlFile: string): string {
  let text: string;
  try {
    text = readFileSync(urlFile, "utf8").trim();
  } catch (cause) {
    throw new Error(`${NAME}: cannot read ${urlFile}`, { cause });
  }
  if (!/^postgres(ql)?:$/.test(URL.canParse(text) ? new URL(text).protocol : "")) {
    throw new Error(`${NAME}: ${urlFile} must hold one address such as postgres://user:password@host:5432/database`);
  }
  return text;
}
