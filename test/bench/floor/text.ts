// Why: the least a Bun process can do for a scrape: answer with text that lies ready. `--bytes` says how much.
const at = process.argv.indexOf("--bytes");
const body = "nexus_something_total 1\n".repeat(Math.ceil(Number(process.argv[at + 1] ?? 0) / 24));
const headers = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };
const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(body, { headers }) });
process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${server.port}` })}\n`);
