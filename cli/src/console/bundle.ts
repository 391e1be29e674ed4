// Why: the console's script is made of the same client that applications use. As a macro this runs when the module is
// loaded or compiled, so that a single binary carries the finished text. Bun.build would deadlock in a macro: hence a child.
import { join } from "node:path";

/** The script of the page for browsers, one file. @throws Error with the bundler's words */
export function consoleScript(): string {
  const entry = join(import.meta.dir, "page.js");
  const built = Bun.spawnSync([process.execPath, "build", entry, "--target=browser", "--minify-syntax", "--minify-whitespace"]);
  if (built.exitCode !== 0) throw new Error(`the console's script cannot be built: ${built.stderr.toString()}`);
  return built.stdout.toString();
}
