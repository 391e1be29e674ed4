import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { PYTHON_PINS, pinsOf, pythonWith } from "../../scripts/host/python.ts";

test("every Python package is pinned to one exact version", () => {
  const lines = readFileSync(PYTHON_PINS, "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  expect(lines.filter((line) => !/^[A-Za-z0-9._-]+==[0-9][0-9a-z.]*$/.test(line))).toEqual([]);
  expect(pinsOf(lines.join("\n")).size).toBe(lines.length);
});

test("a package without a pin is refused before anything is installed", async () => {
  await expect(pythonWith(["left-pad"])).rejects.toThrow("left-pad is not pinned");
});
