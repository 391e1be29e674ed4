// Why: a page's WebSocket is driven like any other foreign client. The page comes from another origin than the server, as a
// product's pages do. It must never load anything from beyond this machine.
import type { Page } from "playwright-core";
import { launchBrowser } from "../../support/browser.ts";
import { type ClientEvent, type Command, ForeignClient } from "./client.ts";

export type Site = AsyncDisposable & {
  /** Opens a page of an origin of its own; `script` is served as its only script. */
  page(script?: string): Promise<Page>;
};

export async function startSite(): Promise<Site> {
  const browser = await launchBrowser();
  let served = "";
  const pages = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) =>
      url.endsWith("/script.js")
        ? new Response(served, { headers: { "content-type": "text/javascript" } })
        : new Response('<!doctype html><title>t</title><script type="module" src="/script.js"></script>', {
            headers: { "content-type": "text/html" },
          }),
  });
  return {
    async page(script = "") {
      served = script;
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${pages.port}/`);
      return page;
    },
    async [Symbol.asyncDispose]() {
      await browser.close();
      await pages.stop(true);
    },
  };
}

/** Runs in the page; `tell` is ours. */
const PAGE_SCRIPT = `
  const sockets = new Map();
  const open = ({ id, url, protocols }) => {
    const socket = new WebSocket(url, protocols);
    let isOpen = false;
    sockets.set(id, socket);
    socket.onopen = () => { isOpen = true; tell({ id, event: "open", protocol: socket.protocol, extensions: socket.extensions }); };
    socket.onmessage = ({ data }) => tell({ id, event: "message", text: data, isBinary: typeof data !== "string" });
    socket.onclose = ({ code, reason }) => tell(isOpen ? { id, event: "close", code, reason } : { id, event: "error", message: "closed " + code });
  };
  globalThis.perform = (command) => {
    if (command.do === "open") return open(command);
    const socket = sockets.get(command.id);
    if (command.do === "text") socket.send(command.text);
    if (command.do === "binary") socket.send(new TextEncoder().encode(command.text));
    if (command.do === "close") socket.close(command.code, command.reason);
  };
`;

/** A page's own WebSockets. A browser offers permessage-deflate always, sends no headers and shows no pings. */
export async function startPageClient(site: Site): Promise<ForeignClient> {
  const page = await site.page();
  const perform = async (command: Command) => {
    await page.evaluate(`perform(${JSON.stringify(command)})`);
  };
  // In order, and a failure must not be lost: it fails the test when the client is disposed.
  let last: Promise<void> = Promise.resolve();
  const client = new ForeignClient(
    (command) => {
      last = last.then(() => perform(command));
    },
    async () => {
      await last;
      await page.close();
    },
  );
  await page.exposeFunction("tell", (event: ClientEvent) => client.take(event));
  await page.evaluate(PAGE_SCRIPT);
  return client;
}
