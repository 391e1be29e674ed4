// No container engine runs here, so what the Dockerfile shares with the tree is compared instead: a forgotten workspace or
// an old Bun would show only on a user's machine.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { PRODUCTS } from "../architecture/layers.ts";

const root = join(import.meta.dir, "../..");
const text = (path: string) => Bun.file(join(root, path)).text();
// Our own manifests.
const manifest = async (path: string) => JSON.parse(await text(path)) as { workspaces?: string[]; dependencies?: Record<string, string> };

test("the Dockerfile builds with the Bun the repository pins", async () => {
  const { dependencies } = await manifest("scripts/bun/package.json");
  expect(/^FROM oven\/bun:(\S+)-debian/m.exec(await text("Dockerfile"))?.[1]).toBe(dependencies?.bun ?? "no pin");
});

test("the Dockerfile and its context know every workspace", async () => {
  const { workspaces = [] } = await manifest("package.json");
  expect(workspaces.length).toBeGreaterThan(3);
  const [dockerfile, ignored] = [await text("Dockerfile"), await text(".dockerignore")];
  for (const workspace of workspaces) {
    expect(dockerfile).toContain(`COPY ${workspace}/package.json ${workspace}/`);
  }
  for (const folder of [...workspaces, ...PRODUCTS]) expect(ignored.split("\n")).toContain(`!${folder}`);
});

test("the Dockerfile's image runs as the same user as ours, without a shell", async () => {
  const final = (await text("Dockerfile")).split(/^FROM /m).at(-1) ?? "";
  expect(final).toContain("\nUSER 65532:65532\n");
  expect(final).not.toMatch(/^RUN /m);
});
