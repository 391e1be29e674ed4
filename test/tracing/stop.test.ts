// Why: a process that has nothing left but spans to send ends only when they are sent or given up, and says so; with nothing to
// send it ends at once, and tracing alone keeps none alive.
import { afterAll, expect, test } from "bun:test";

let answer: () => Response = () => new Response();
const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => answer() });
afterAll(() => server.stop(true));

/** What a process of its own says at its end. `act`: what it does after it made a span, if anything. */
async function ends(act: string, spans: number): Promise<{ readonly said: string; readonly code: number; readonly ms: number }> {
  const program = `
    import { createTracing } from "@nexus/tracing/tracing.ts";
    const counts = {};
    const counted = (outcome, count) => (counts[outcome] = (counts[outcome] ?? 0) + count);
    const tracing = createTracing({ resource: {}, version: "1", headersFile: "", counted, failed: () => undefined });
    tracing.configure({ endpoint: "${server.url.href}", samplePercent: 100, incomingPerSecond: 0 });
    for (let made = 0; made < ${spans}; made++) tracing.tracer.root({ name: "x", kind: "internal", attributes: {} }).end();
    ${act}
  `;
  const startedAt = performance.now();
  const child = Bun.spawn([process.execPath, "-e", program], { cwd: import.meta.dir, stdout: "pipe", stderr: "pipe" });
  const [said, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  if (code !== 0) throw new Error(await new Response(child.stderr).text());
  return { said: said.trim(), code, ms: performance.now() - startedAt };
}

const STOP = "await tracing.stop(); console.log(JSON.stringify(counts));";

test("what waits is sent before the end", async () => {
  answer = () => new Response();
  expect(await ends(STOP, 3)).toMatchObject({ said: '{"exported":3}' });
});

test("a collector that cannot take it now is waited for, but not for long", async () => {
  answer = () => new Response(null, { status: 503, headers: { "retry-after": "20" } });
  const { said, ms } = await ends(STOP, 3);
  expect(said).toBe('{"failed":3}');
  expect(ms).toBeWithin(2500, 8000);
});

test("tracing alone keeps no process alive until it has sent something", async () => {
  let asked = 0;
  answer = () => {
    asked++;
    return new Response();
  };
  await ends("", 1);
  expect(asked).toBe(0);
});
