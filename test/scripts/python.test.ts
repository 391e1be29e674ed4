// Why: a machine without a fitting Python must skip with a reason, and one that has it must install once and only what is
// pinned. The machine's own Python is not asked: a stand-in on the PATH says what the test wants.
import { expect, test } from "bun:test";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PYTHON_PINS, pinsOf, pythonWith } from "../../scripts/host/python.ts";

const SCRIPT = new URL("../../scripts/host/python.ts", import.meta.url).pathname;

test("every Python package is pinned to one exact version", async () => {
  const lines = (await readFile(PYTHON_PINS, "utf8")).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  expect(lines.filter((line) => !/^[A-Za-z0-9._-]+==[0-9][0-9a-z.]*$/.test(line))).toEqual([]);
  expect(pinsOf(lines.join("\n")).size).toBe(lines.length);
});

test("a package without a pin is refused before anything is installed", async () => {
  await expect(pythonWith(["left-pad"])).rejects.toThrow("left-pad is not pinned");
});

/** Says its version, makes environments of itself, and writes down what pip was asked for. */
const standIn = (version: string, pip: string) => `#!/bin/sh
case "$*" in
  *sys.executable*) echo "$0"; echo "${version}" ;;
  *ensurepip*) ;;
  *"-m venv"*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *"freeze"*) echo "$NEXUS_TEST_FREEZE" ;;
  *"-m pip"*) echo "$*" >> "$NEXUS_CACHE_DIR/asked"; ${pip} ;;
  *) exit 9 ;;
esac
`;

type Asked = { readonly answers: readonly unknown[]; readonly pip: readonly string[]; readonly cache: string };

/** `pythonWith(["websockets"])` twice, one after the other, in a process whose only `python3` is the stand-in. */
async function askTwice(version: string, pip: string, freeze = ""): Promise<Asked> {
  const folder = await mkdtemp(join(tmpdir(), "nexus-python-"));
  try {
    await writeFile(join(folder, "python3"), standIn(version, pip));
    await chmod(join(folder, "python3"), 0o755);
    const code = `const { pythonWith } = await import(${JSON.stringify(SCRIPT)});
      for (const _ of [1, 2]) console.log(JSON.stringify(await pythonWith(["websockets"])));`;
    const env = { PATH: `${folder}:/usr/bin:/bin`, NEXUS_CACHE_DIR: folder, NEXUS_TEST_FREEZE: freeze };
    const child = Bun.spawn([process.execPath, "-e", code], { env, stdout: "pipe", stderr: "ignore" });
    const answers = (await new Response(child.stdout).text()).trim().split("\n");
    const log = Bun.file(join(folder, "asked"));
    const asked = (await log.exists()) ? (await log.text()).trim().split("\n") : [];
    return { answers: answers.map((line) => JSON.parse(line)), pip: asked, cache: folder };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test.skipIf(process.platform === "win32")("installs once, by the pins, and answers the same interpreter again", async () => {
  const { answers, pip, cache } = await askTwice("3.11.2", "exit 0");
  const found = { ok: true, python: expect.stringMatching(new RegExp(`^${cache}/python/websockets-[0-9a-f]{12}/bin/python$`)) };
  expect(answers).toEqual([found, found]);
  expect(pip).toEqual([expect.stringMatching(/ install .*--constraint \S+python-packages\.txt websockets==\d/)]);
});

test.skipIf(process.platform === "win32")("what pip could not install is a reason, and is tried again next time", async () => {
  const { answers, pip } = await askTwice("3.11.2", "echo 'no route to the index' >&2; exit 1");
  const refused = { ok: false, reason: expect.stringMatching(/^pip could not install websockets==\S+: no route to the index$/) };
  expect(answers).toEqual([refused, refused]);
  expect(pip).toHaveLength(2);
});

test.skipIf(process.platform === "win32")("what pip brings along has to be pinned too", async () => {
  const { answers } = await askTwice("3.11.2", "exit 0", "websockets==17.4\nleft_pad==1.0");
  const refused = { ok: false, reason: "scripts/host/python-packages.txt does not pin left_pad==1.0, which pip installed too" };
  expect(answers).toEqual([refused, refused]);
});

test.skipIf(process.platform === "win32")("a Python that is too old is a reason, and nothing is installed", async () => {
  const { answers, pip } = await askTwice("3.9.18", "exit 0");
  const refused = { ok: false, reason: "needs Python 3.10 or newer, and python3 is 3.9.18" };
  expect({ answers, pip }).toEqual({ answers: [refused, refused], pip: [] });
});
