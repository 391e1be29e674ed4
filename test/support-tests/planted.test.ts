// Why: a search that finds nothing proves something only when it finds what is there.
import { expect, test } from "bun:test";
import { Planted } from "../support/planted.ts";

test("a planted word is found in every form it may take, and nothing else is", () => {
  const planted = new Planted();
  const word = planted.word("password");
  planted.add("other", "another-secret");
  const forms = [
    `x${word}y`,
    `?token=${encodeURIComponent(word)}&a=b`,
    JSON.stringify({ nested: JSON.stringify({ word }) }),
    Buffer.from(word).toString("hex"),
    ...["", "a", "ab", "abc"].flatMap((before) => [
      Buffer.from(`${before}${word}`).toString("base64"),
      Buffer.from(`${before}${word}${before}`).toString("base64url"),
    ]),
  ];
  for (const text of forms) expect(planted.leaksIn("a log", text)).toEqual(["password in a log"]);
  expect(planted.leaksIn("a log", `${word.slice(0, -1)} ${Buffer.from("something else").toString("base64")}`)).toEqual([]);
  expect(planted.leaksIn("a bundle", word, ["password"])).toEqual([]);
  expect(planted.places).toEqual(["password", "other"]);
  expect(() => planted.add("short", "abc")).toThrow("too short");
});
