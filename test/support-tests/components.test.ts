// Why: the programs of a control plane exit when what they need is a moment late, and a test run must not fail for that; one that
// cannot start at all must still say why at once.
import { expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Components } from "../support/cluster/components.ts";
import { Run } from "../support/cluster/run.ts";
import { identify } from "../support/processes.ts";

/** A daemon that exits with words of its own until `gate` exists (it makes it itself at its `succeeds`th start), and then stays. */
const daemon = (directory: string, succeeds: number) => ({
  argv: [
    "sh",
    "-c",
    `echo start >> "${directory}/starts"
     if [ "$(wc -l < "${directory}/starts")" -lt ${succeeds} ]; then echo "the ConfigMap is not there"; exit 1; fi
     touch "${directory}/gate"; exec sleep 60`,
  ],
});

async function scene() {
  const run = await Run.open();
  const components = new Components(run, { kind: "machine" });
  const isUp = () => existsSync(join(run.directory, "gate"));
  return { run, components, isUp, [Symbol.asyncDispose]: () => run.close() };
}

test("a daemon that exits before it is ready is started again", async () => {
  await using it = await scene();
  await it.components.start("late", daemon(it.run.directory, 3));
  await it.components.ready("late", it.isUp);
  expect(it.components.isRunning("late")).toBe(true);
});

test("so is one that another waits for", async () => {
  await using it = await scene();
  await it.components.start("store", daemon(it.run.directory, 2));
  await it.components.start("api", { argv: ["sleep", "60"] });
  await it.components.ready("api", it.isUp);
  expect(it.components.isRunning("store")).toBe(true);
});

test("one that exits every time is given up with the end of its log", async () => {
  await using it = await scene();
  await it.components.start("broken", daemon(it.run.directory, 100));
  await expect(it.components.ready("broken", it.isUp)).rejects.toThrow(/broken exited\n(.*\n)*the ConfigMap is not there/);
});

test("one that was stopped on purpose stays stopped", async () => {
  await using it = await scene();
  await it.components.start("stopped", { argv: ["sleep", "60"] });
  await it.components.stop("stopped");
  await it.components.start("other", { argv: ["sleep", "60"] });
  writeFileSync(join(it.run.directory, "gate"), "");
  await it.components.ready("other", it.isUp);
  expect(it.components.isRunning("stopped")).toBe(false);
});

test.skipIf(process.getuid?.() !== 0)("one that is just being started is not started twice because another waits", async () => {
  const init = identify(process.pid); // its own namespaces: entering them is what takes time
  if (!init) throw new Error("this process cannot see itself");
  await using run = await Run.open().then((opened) => ({ opened, [Symbol.asyncDispose]: () => opened.close() }));
  const { directory } = run.opened;
  const components = new Components(run.opened, { kind: "namespaces", init });
  await components.start("api", { argv: ["sleep", "60"] });
  const starting = components.start("containerd", daemon(directory, 1));
  await components.ready("api", () => existsSync(join(directory, "gate")));
  await starting;
  expect(readFileSync(join(directory, "starts"), "utf8")).toBe("start\n");
});
