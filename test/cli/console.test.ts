// Why: the console is tested the way people use it, in a real browser: by mouse and keyboard, reading what is on the page.
// Where there is no Chromium it says so; the endpoints behind it are tested anywhere.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { launchBrowser, missingBrowser } from "../support/browser.ts";
import { post, quickstartCopy, startDev } from "./dev-process.ts";

const missing = await missingBrowser();
if (missing !== undefined) process.stderr.write(`skipped: the console in a browser ${missing}\n`);

describe("its address", () => {
  test("answers this machine's browser only, and nothing may be loaded from elsewhere", async () => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path]);
    const { url } = dev.ready;
    const status = async (path: string, headers: Record<string, string> = {}) =>
      (await fetch(url + path, { headers, redirect: "manual" })).status;
    expect(await status("/")).toBe(302);
    for (const path of ["/console", "/console/console.js", "/console/console.css", "/console/state"]) expect(await status(path)).toBe(200);
    expect(await status("/console/none")).toBe(404);
    // A name that somebody pointed at 127.0.0.1, and a request another site's page makes.
    expect(await status("/console/state", { host: "evil.example" })).toBe(403);
    expect(await status("/console/state", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors" })).toBe(403);
    const page = await fetch(`${url}/console`);
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'; script-src 'self'");
    expect(page.headers.get("access-control-allow-origin")).toBeNull();
    const html = await page.text();
    expect(html).not.toMatch(/(src|href)="(https?:)?\/\//);
    expect(html).not.toMatch(/<script(?![^>]*src=)|\sstyle=|\son\w+=/);
    expect((await fetch(`${url}/console/state`).then((answer) => answer.text())).includes(dev.ready.tenants[0]?.jwt_secret ?? "?")).toBe(
      false,
    );
  });

  test("a request for a token that names no tenant and user is refused", async () => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path]);
    const status = async (body: string) => (await fetch(`${dev.ready.url}/console/token`, { method: "POST", body })).status;
    for (const body of ["", "[]", '{"tenant":"default"}', '{"tenant":"default","user":""}', "x".repeat(5000)])
      expect(await status(body)).toBe(400);
    expect(await status('{"tenant":"gone","user":"a"}')).toBe(404);
  });

  test("a server that is not nexus dev has no console", async () => {
    using folder = quickstartCopy();
    await using dev = await startDev([folder.path]);
    expect((await fetch(`${dev.ready.ops_url}/console`)).status).toBe(404);
  });
});

describe.skipIf(missing !== undefined)("in a browser", () => {
  const folder = quickstartCopy();
  let dev: Awaited<ReturnType<typeof startDev>>;
  let browser: Browser;

  beforeAll(async () => {
    dev = await startDev([folder.path]);
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await dev?.[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  /** A page of its own; nothing may have gone wrong in it when the test ends. */
  async function openConsole() {
    const page = await browser.newPage();
    page.setDefaultTimeout(10_000);
    const wrong: string[] = [];
    page.on("pageerror", (error) => wrong.push(error.message));
    page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
    await page.goto(`${dev.ready.url}/console`);
    await page.locator("#template option").first().waitFor({ state: "attached" });
    return { page, wrong, [Symbol.asyncDispose]: () => page.close() };
  }

  const connect = async (page: Page, user = "ada") => {
    await page.getByLabel("User").first().fill(user);
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await page.getByText("Connected", { exact: true }).waitFor();
  };

  test("connect, subscribe, send through the form: the notification appears, with its frames", async () => {
    await using one = await openConsole();
    const { page } = one;
    await connect(page);
    await page.getByRole("textbox", { name: "Channel" }).fill("orders.1");
    await page.keyboard.press("Enter");
    await page.locator("#channels li:not(.waiting)", { hasText: "orders.1" }).waitFor();
    await page.locator("#variables").getByLabel("name").fill("Ada");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("Delivered to 1 session").waitFor();
    expect(await page.locator("#notifications li pre").first().textContent()).toContain("Hello Ada, order A-1 is on its way");
    await page.getByText("Direct").click();
    await page.locator(".segments").first().getByText("Channel").click();
    await page.getByLabel("Payload, JSON").fill('{ "n": 1 }');
    await page.getByRole("button", { name: "Send" }).click();
    await page.locator("#notifications li", { hasText: "channel:orders.1" }).waitFor();
    const frames = await page.locator("#frames").textContent();
    for (const type of ["connected", "Subscribe", "subscribed", "notification"]) expect(frames).toContain(`"type":"${type}"`);
    expect(frames).not.toContain("eyJ");
    expect(one.wrong).toEqual([]);
  });

  test("after a drop it goes on, and says where something may be missing", async () => {
    await using one = await openConsole();
    const { page } = one;
    await page.addInitScript(`
      const Real = WebSocket;
      globalThis.sockets = [];
      globalThis.WebSocket = class extends Real { constructor(...all) { super(...all); sockets.push(this); } };
    `);
    await page.reload();
    await page.locator("#template option").first().waitFor({ state: "attached" });
    await connect(page, "dan");
    await page.getByRole("textbox", { name: "Channel" }).fill("live.1");
    await page.keyboard.press("Enter");
    await page.locator("#channels li:not(.waiting)[title*='Live only']", { hasText: "live.1" }).waitFor();
    await page.evaluate("sockets.at(-1).close(3000)");
    await page.locator("#notifications .gap", { hasText: "missing on channel:live.1: it keeps no history" }).waitFor();
    await page.getByText("Connected", { exact: true }).waitFor();
    await post(dev.ready, "channel", { channel: "live.1", event_type: "after", payload: 1 });
    await page.locator("#notifications h3", { hasText: "after" }).waitFor();
    expect(one.wrong).toEqual([]);
  });

  test("a notification from a backend appears as text, never as markup", async () => {
    await using one = await openConsole();
    await connect(one.page, "eve");
    const payload = { html: "<img src=x onerror=alert(1)><b>bold</b>" };
    await post(dev.ready, "send", { target_user_id: "eve", event_type: "<i>type</i>", payload });
    await one.page.getByText("<i>type</i>").first().waitFor();
    expect(await one.page.locator("#notifications img, #notifications b, #notifications i").count()).toBe(0);
    expect(one.wrong).toEqual([]);
  });

  test("mistakes are told where they were made", async () => {
    await using one = await openConsole();
    const { page } = one;
    await connect(page, "bob");
    await page.getByRole("textbox", { name: "Channel" }).fill("not a name!");
    await page.keyboard.press("Enter");
    await page.locator("#channel-error", { hasText: "A channel name has" }).waitFor();
    expect(await page.locator("#channels li").count()).toBe(0);
    await page.getByText("Direct").click();
    await page.getByLabel("Payload, JSON").fill("{ nonsense");
    await page.getByRole("button", { name: "Send" }).click();
    await page.locator("#result", { hasText: "is not JSON" }).waitFor();
    expect(await page.locator("#result").textContent()).not.toContain("text needs quotes");
    expect(await page.getByLabel("Payload, JSON").getAttribute("aria-invalid")).toBe("true");
    await page.getByLabel("Payload, JSON").fill("hello");
    await page.getByRole("button", { name: "Send" }).click();
    await page.locator("#result", { hasText: "is not JSON: text needs quotes" }).waitFor();
    await page.getByLabel("Payload, JSON").fill("1");
    await page.getByLabel("Event type").fill("");
    await page.getByRole("button", { name: "Send" }).click();
    await page.locator("#result", { hasText: "422" }).waitFor();
  });

  test("an edit of a template shows in the form by itself, and what was typed stays", async () => {
    await using one = await openConsole();
    const { page } = one;
    await page.locator("#variables").getByLabel("name").fill("typed");
    folder.edit("template.yaml", "- { name: parcels", "- { name: colour, type: string }\n    - { name: parcels");
    await page.locator("#variables").getByLabel("colour").waitFor();
    expect(await page.locator("#variables").getByLabel("name").inputValue()).toBe("typed");
  });

  test("works by keyboard alone", async () => {
    await using one = await openConsole();
    const { page } = one;
    const visited = new Set<string>();
    let isPressed = false;
    for (let step = 0; step < 40; step++) {
      await page.keyboard.press("Tab");
      visited.add(
        await page.evaluate("document.activeElement.id || document.activeElement.name || document.activeElement.textContent.trim()"),
      );
      if (isPressed || !visited.has("connect")) continue;
      isPressed = true;
      await page.keyboard.press("Enter");
    }
    for (const name of ["tenant", "user", "connect", "channel", "target", "template", "priority", "Send", "clear"])
      expect([...visited]).toContain(name);
    await page.getByText("Connected", { exact: true }).waitFor();
  });

  test("the state is told when the server goes away", async () => {
    using own = quickstartCopy();
    await using server = await startDev([own.path]);
    await using page = await browser.newPage();
    await page.goto(`${server.ready.url}/console`);
    await page.locator("#template option").first().waitFor({ state: "attached" });
    await connect(page);
    await server.end();
    await page.getByText(/Reconnecting in \d+ s|Connecting…/).waitFor();
    await page.locator("#alert", { hasText: "Nexus does not answer; is it still running" }).waitFor();
    expect(await page.locator("#alert").textContent()).not.toContain("TOKEN_PROVIDER");
    await page.getByRole("button", { name: "Send" }).click();
    await page.locator("#result", { hasText: "Nexus does not answer" }).waitFor();
  });
});
