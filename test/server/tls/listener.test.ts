// Why: a certificate is renewed while thousands of sockets are open: none of them may notice, and what cannot be used must
// change nothing but the log and the metrics.
import { expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:tls";
import { SUBPROTOCOL } from "@nexus/protocol/frames.ts";
import { clusterEntry, secretIssuer, tenantEntry } from "../../support/bundle-entries.ts";
import { eventually } from "../../support/eventually.ts";
import { freePort } from "../../support/free-port.ts";
import { type RealServer, startRealServer } from "../../support/real-server.ts";
import { TOKEN_SECRET, token } from "../../support/rest.ts";
import { PUBLIC_NAME, serialOf, tlsFiles } from "../../support/tls-files.ts";
import { WsClient } from "../../support/ws-client.ts";

setDefaultTimeout(20_000);

const metric = async (real: RealServer, line: RegExp): Promise<number> =>
  Number(line.exec(await (await fetch(`${real.opsUrl}/metrics`)).text())?.[1] ?? Number.NaN);

/** Bytes of a request whose body is still to come: a connection in use. */
async function openRequest(real: RealServer, ca: string) {
  const { port } = new URL(real.url);
  const socket = connect({ host: "127.0.0.1", port: Number(port), ca, servername: PUBLIC_NAME });
  const answer = Promise.withResolvers<string>();
  let text = "";
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString();
    if (text.includes("\r\n\r\n")) answer.resolve(text);
  });
  socket.once("error", answer.reject);
  const { promise: open, resolve } = Promise.withResolvers<void>();
  socket.once("secureConnect", resolve);
  await open;
  socket.write("GET /health HTTP/1.1\r\nHost: push.example.com\r\n"); // half of it
  return {
    async finish() {
      socket.write("Connection: close\r\n\r\n");
      return await answer.promise.finally(() => socket.destroy());
    },
  };
}

test("speaks TLS on the public port and nothing else there", async () => {
  await using files = await tlsFiles();
  await using real = await startRealServer({ env: files.env });
  expect(real.url).toStartWith("https://");
  const answer = await fetch(`${real.url}/health`, { tls: { ca: files.ca, serverName: PUBLIC_NAME } });
  expect(answer.status).toBe(200);
  await expect(fetch(real.url.replace("https:", "http:"))).rejects.toThrow();
  expect(await metric(real, /^nexus_tls_certificate_expiry_timestamp_seconds (\S+)$/m)).toBeGreaterThan(Date.now() / 1000);
});

test("a renewed certificate is what new connections get; a request that is under way and an open socket stay", async () => {
  await using files = await tlsFiles();
  const entries = [clusterEntry(), tenantEntry("acme", { issuers: [secretIssuer(TOKEN_SECRET)] })];
  await using real = await startRealServer({ env: files.env, entries });
  const before = await serialOf(real.url, files.ca);
  const request = await openRequest(real, files.ca);
  const at = `${real.url}/ws?token=${await token("u1")}`;
  await using socket = await WsClient.connect(at, { protocols: [SUBPROTOCOL], tls: { ca: files.ca, servername: PUBLIC_NAME } });
  await socket.next("connected");
  await files.renew();
  await eventually("new connections get the new certificate", async () => (await serialOf(real.url, files.ca)) !== before);
  expect(await request.finish()).toStartWith("HTTP/1.1 200");
  await socket.ask({ type: "Ping", id: "1" }, "pong"); // the old connection, served as before
  expect(socket.closed).toBeUndefined();
  expect(await metric(real, /^nexus_tls_rereads_total\{outcome="taken"\} (\S+)$/m)).toBe(1);
  await files.renew(); // and again: the second listener is renewed as the first was
  await eventually("taken twice", async () => (await metric(real, /^nexus_tls_rereads_total\{outcome="taken"\} (\S+)$/m)) === 2);
});

test("a pair that does not belong together changes nothing, is counted and said once", async () => {
  await using files = await tlsFiles();
  await using real = await startRealServer({ env: files.env });
  real.expectErrors("listener.reread_failed");
  const before = await serialOf(real.url, files.ca);
  await files.breakPair();
  const failed = () => metric(real, /^nexus_tls_rereads_total\{outcome="failed"\} (\S+)$/m);
  await eventually("it was tried twice", async () => (await failed()) >= 2);
  expect(await serialOf(real.url, files.ca)).toBe(before);
  expect(real.lines.filter(({ event }) => event === "listener.reread_failed")).toHaveLength(1);
  await files.renew();
  await eventually("a good pair is taken again", async () => (await serialOf(real.url, files.ca)) !== before);
});

test("a pair that cannot be used at the start, and a port somebody has, are refused", async () => {
  await using files = await tlsFiles();
  await files.breakPair();
  await expect(startRealServer({ env: files.env })).rejects.toThrow("do not belong together");
  await files.renew();
  const port = await freePort();
  const other = Bun.serve({ hostname: "127.0.0.1", port, reusePort: true, fetch: () => new Response("mine") });
  await expect(startRealServer({ env: { ...files.env, NEXUS_HTTP_PORT: String(port) } })).rejects.toThrow();
  await other.stop(true);
  await using real = await startRealServer({ env: { ...files.env, NEXUS_HTTP_PORT: String(port) } });
  expect(real.server.url).toBe(`https://127.0.0.1:${port}`);
});
