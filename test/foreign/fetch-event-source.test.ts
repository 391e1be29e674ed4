// Why: what pages use that want a token in a header and not in an address: `@microsoft/fetch-event-source`, in a real browser,
// from another origin. Where there is no Chromium this says so and runs nothing.
import { afterAll, beforeAll, describe } from "bun:test";
import { missingBrowser } from "../support/browser.ts";
import { type Site, startSite } from "./support/browser.ts";
import { startPageSse } from "./support/page-sse.ts";
import { sseSuite } from "./support/sse-suite.ts";

const missing = await missingBrowser();
if (missing !== undefined) process.stderr.write(`skipped: fetch-event-source in a browser: ${missing}\n`);

const program = new URL("./programs/fetch-event-source.ts", import.meta.url).pathname;

async function bundled(): Promise<string> {
  const { outputs } = await Bun.build({ entrypoints: [program], target: "browser" });
  const [script] = outputs;
  if (!script) throw new Error("nothing was bundled");
  return await script.text();
}

describe.skipIf(missing !== undefined)("a page in Chromium", () => {
  let site: Site;
  beforeAll(async () => {
    site = await startSite();
  });
  afterAll(() => site?.[Symbol.asyncDispose]());
  sseSuite("@microsoft/fetch-event-source", { sendsHeaders: true }, async () => startPageSse(site, await bundled()));
});
