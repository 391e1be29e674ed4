// Why: browsers are who most sessions are, and they are stricter than any library. Where there is no Chromium this says so and
// runs nothing.
import { afterAll, beforeAll, describe } from "bun:test";
import { missingBrowser } from "../support/browser.ts";
import { type Site, startPageClient, startSite } from "./support/browser.ts";
import { websocketSuite } from "./support/websocket-suite.ts";

const missing = await missingBrowser();
if (missing !== undefined) process.stderr.write(`skipped: WebSockets in a browser: ${missing}\n`);

const can = { sendsHeaders: false, seesStatus: false, needsItsOfferTaken: true, isLibrary: false };

describe.skipIf(missing !== undefined)("a page in Chromium", () => {
  let site: Site;
  beforeAll(async () => {
    site = await startSite();
  });
  afterAll(() => site?.[Symbol.asyncDispose]());
  websocketSuite("WebSocket", can, () => startPageClient(site));
});
