// Why: how arguments are read, by value.
import { describe, expect, test } from "bun:test";
import { helpText, parseArgs, type Usage } from "@nexus/cli/args.ts";

const usage: Usage = {
  line: "try PATH… [flags]",
  about: "Tries.",
  words: "PATH",
  examples: ["try a.yaml"],
  options: [
    { name: "--namespace", short: "-n", value: "NAME", about: "A namespace." },
    { name: "--port", value: "N", about: "A port." },
    { name: "--var", value: "K=V", many: true, about: "A variable." },
    { name: "--quiet", about: "A switch." },
    { name: "--metrics", value: "true|false", bare: true, about: "A setting that is a switch too." },
  ],
};

function read(...argv: string[]) {
  const parsed = parseArgs(usage, argv);
  return parsed.ok ? { flags: Object.fromEntries(parsed.args.flags), words: parsed.args.words } : parsed.errors;
}

describe("arguments", () => {
  test("values with a blank or an equals sign, switches, words", () => {
    expect(read("a", "--port", "1", "--quiet", "b")).toEqual({ flags: { "--port": "1", "--quiet": "true" }, words: ["a", "b"] });
    expect(read("--port=1")).toEqual({ flags: { "--port": "1" }, words: [] });
    expect(read("--var", "a=1", "--var=b=2=3")).toMatchObject({ flags: { "--var": "b=2=3" } });
  });

  test("a value may be negative or empty, and -- ends the flags", () => {
    expect(read("--port", "-1", "--var=", "--", "--quiet")).toEqual({ flags: { "--port": "-1", "--var": "" }, words: ["--quiet"] });
  });

  test("one letter stands for its flag in every way kubectl reads it", () => {
    for (const argv of [["-n", "shop"], ["-nshop"], ["-n=shop"], ["--namespace=shop"]])
      expect(read(...argv)).toEqual({ flags: { "--namespace": "shop" }, words: [] });
    expect(read("-n", "a", "--namespace", "b")).toContain("--namespace: is there twice");
  });

  test("a setting that is a switch takes the next word only when it is true or false", () => {
    expect(read("--metrics", "folder")).toEqual({ flags: { "--metrics": "true" }, words: ["folder"] });
    expect(read("--metrics", "false", "folder")).toEqual({ flags: { "--metrics": "false" }, words: ["folder"] });
  });

  test.each([
    [["--prot", "1"], "--prot: no such flag; did you mean --port?"],
    [["--whatever"], "--whatever: no such flag"],
    [["-x"], "-x: no such flag"],
    [["--port"], "--port: needs a value (N)"],
    [["--port", "--quiet"], "--port: needs a value (N)"],
    [["--quiet=yes"], "--quiet: takes no value"],
    [["--port=1", "--port=2"], "--port: is there twice"],
  ])("%p is refused", (argv, error) => expect(read(...argv)).toContain(error));

  test("words are refused where a command takes none", () => {
    const parsed = parseArgs({ line: "x", about: "", options: [], examples: [] }, ["stray"]);
    expect(parsed).toEqual({ ok: false, errors: ["stray: this command takes flags only"] });
  });

  test("help names every flag once", () => {
    const text = helpText(usage, "kubectl nexus");
    expect(text).toContain("Usage: kubectl nexus try PATH… [flags]");
    expect(text).toContain("Examples:\n  kubectl nexus try a.yaml");
    for (const { name, about } of usage.options)
      expect(text.split("\n").filter((line) => line.includes(name) && line.includes(about))).toHaveLength(1);
  });
});
