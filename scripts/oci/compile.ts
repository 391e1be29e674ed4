// Why: one self-contained program from one entry file. Identifiers are never minified: Elysia reads the source text of
// handlers, and a renamed parameter silently loses its fields. The result must depend on the sources and Bun alone, not
// on the folder they are in, or no two machines would build the same image.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { runOrThrow } from "../host/command.ts";

const FLAGS = [
  ...["--target=bun", "--format=esm", "--minify-whitespace", "--minify-syntax"],
  ...["--define", 'process.env.NODE_ENV="production"'], // the bundler would write "development" into libraries
  // Settings come from flags, environment and mounted files we name, never from what lies in the working directory.
  ...["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"],
];

/**
 * Compiles `entry` with the Bun that runs this into `directory`.
 * @returns path and hex SHA-256 of the program @throws Error with the bundler's message
 */
export async function compileProgram(
  entry: string,
  directory: string,
  options: { bytecode?: boolean } = {},
): Promise<{ program: string; sha256: string }> {
  const program = join(directory, "nexus"); // the file's name is part of its bytes
  const bytecode = options.bytecode ? ["--bytecode"] : [];
  await runOrThrow([process.execPath, "build", "--compile", ...FLAGS, ...bytecode, entry, "--outfile", program]);
  const hash = createHash("sha256");
  await pipeline(createReadStream(program), hash);
  return { program, sha256: hash.digest("hex") };
}
