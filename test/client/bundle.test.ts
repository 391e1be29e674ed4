// Why: the client promises browsers, Bun and Node nothing but one file. A dependency that slips in is seen here.
import { expect, test } from "bun:test";
import { join } from "node:path";

test("bundles for browsers into one small file without a dependency", async () => {
  const built = await Bun.build({ entrypoints: [join(import.meta.dir, "../../client/src/client.ts")], target: "browser", minify: true });
  const text = (await built.outputs[0]?.text()) ?? "";
  expect(built.outputs.length).toBe(1);
  expect(text).not.toMatch(/\bimport\b|\brequire\(|\bprocess\.|\bBuffer\b|\bBun\./);
  // Of the protocol it holds the cursor's codec and one rule about close codes: no schema, no table of failures.
  expect(text).not.toMatch(/TypeBox|additionalProperties|VALIDATION_ERROR/);
  expect(text.length).toBeGreaterThan(5_000);
  expect(text.length).toBeLessThan(24_000);
  expect(Bun.gzipSync(text).length).toBeLessThan(9_000);
});
