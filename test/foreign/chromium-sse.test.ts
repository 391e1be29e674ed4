// Why: a browser's own EventSource decides by itself when to come back and when never again. Where there is no Chromium this
// says so and runs nothing.
import { afterAll, beforeAll, describe } from "bun:test";
import { missingBrowser } from "../support/browser.ts";
import { type Site, startSite } from "./support/browser.ts";
import { NATIVE_EVENT_SOURCE, startPageSse } from "./support/page-sse.ts";
import { sseSuite } from "./support/sse-suite.ts";

const missing = await missingBrowser();
if (missing !== undefined) process.stderr.write(`skipped: EventSource in a browser: ${missing}\n`);

describe.skipIf(missing !== undefined)("a page in Chromium", () => {
  let site: Site;
  beforeAll(async () => {
    site = await startSite();
  });
  afterAll(() => site?.[Symbol.asyncDispose]());
  sseSuite("EventSource", { sendsHeaders: false }, () => startPageSse(site, NATIVE_EVENT_SOURCE));
});
