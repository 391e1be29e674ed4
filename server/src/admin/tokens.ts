// Why: the admin port takes a bearer token from a mounted file; while it is rotated the file holds two.
// It must never keep a token longer than the file does, nor compare one in a time that tells how much was right.
import { createHash, timingSafeEqual } from "node:crypto";

/** Shortest token that is taken from the file, in characters: an empty line must not open the port. */
const MIN_TOKEN = 16;

const hash = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Hashes of the file's lines; blank and too short ones are left out. */
export const readTokens = (file: string): readonly Buffer[] =>
  file
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.length >= MIN_TOKEN)
    .map(hash);

/** Whether the `Authorization` header carries one of the tokens. Looks at all of them, always. */
export function isAuthorized(header: string | null, tokens: readonly Buffer[]): boolean {
  const given = /^Bearer +(\S+)$/i.exec(header ?? "")?.[1];
  if (given === undefined) return false;
  const hashed = hash(given);
  let matches = 0;
  for (const token of tokens) if (timingSafeEqual(token, hashed)) matches++;
  return matches > 0;
}
