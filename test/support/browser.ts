// Why: one place finds Chromium and starts it as tests may: without sandbox, because CI runs as root in a container, and
// without anything that looks for hosts beyond this machine.
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import { ensurePackages } from "./apt.ts";

const CHROMIUM = "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Undefined when Chromium is there (installed where that may be); else why tests with it are left out. */
export const missingBrowser = async (): Promise<string | undefined> =>
  existsSync(CHROMIUM) ? undefined : await ensurePackages(["chromium"]);

/** Whoever launches it closes it. @throws Error when there is none; ask `missingBrowser` first */
export const launchBrowser = (): Promise<Browser> => chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
