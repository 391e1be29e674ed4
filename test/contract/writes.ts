// Why: what `Idempotency-Key` on writes relies on: a write is done once, its answer given as often as it is asked for.
import { describe, expect, test } from "bun:test";
import { freshTenant, type MakeSubject } from "./subject.ts";

const claim = (fingerprint = "body", key = "key") => ({ key, fingerprint });
const answer = { status: 201, body: '{"id":"ü","text":"\\u0000"}' };
const DAY_MS = 86_400_000;

export function writesSuite(name: string, make: MakeSubject): void {
  describe(`write records: ${name}`, () => {
    test("the first begins, others wait, then all get its answer", async () => {
      await using subject = await make();
      const { writes } = subject.engine;
      const scope = `${freshTenant()}/createTemplate`;
      expect(await writes.begin(scope, claim())).toEqual({ kind: "begun" });
      expect(await writes.begin(scope, claim())).toEqual({ kind: "in_flight" });
      await writes.finish(scope, "key", answer);
      expect(await writes.begin(scope, claim())).toEqual({ kind: "done", answer });
      expect(await writes.begin(scope, claim())).toEqual({ kind: "done", answer });
    });

    test("another body under the key is a conflict, running or done", async () => {
      await using subject = await make();
      const { writes } = subject.engine;
      const scope = `${freshTenant()}/createTemplate`;
      await writes.begin(scope, claim());
      expect(await writes.begin(scope, claim("other"))).toEqual({ kind: "conflict" });
      await writes.finish(scope, "key", answer);
      expect(await writes.begin(scope, claim("other"))).toEqual({ kind: "conflict" });
    });

    test("another key and another scope are other matters", async () => {
      await using subject = await make();
      const { writes } = subject.engine;
      const scope = `${freshTenant()}/createTemplate`;
      await writes.begin(scope, claim());
      await writes.finish(scope, "key", answer);
      expect(await writes.begin(scope, claim("body", "key2"))).toEqual({ kind: "begun" });
      expect(await writes.begin(`${freshTenant()}/createTemplate`, claim())).toEqual({ kind: "begun" });
    });

    test("of many who begin at once one does", async () => {
      await using subject = await make();
      const { writes } = subject.engine;
      const scope = `${freshTenant()}/createTemplate`;
      const outcomes = await Promise.all(Array.from({ length: 10 }, () => writes.begin(scope, claim())));
      expect(outcomes.filter(({ kind }) => kind === "begun").length).toBe(1);
      expect(outcomes.filter(({ kind }) => kind === "in_flight").length).toBe(9);
    });

    test("an abandoned key is free again, for any body; a finished one is not", async () => {
      await using subject = await make();
      const { writes } = subject.engine;
      const scope = `${freshTenant()}/createTemplate`;
      await writes.begin(scope, claim());
      await writes.abandon(scope, "key");
      expect(await writes.begin(scope, claim("other"))).toEqual({ kind: "begun" });
      await writes.finish(scope, "key", answer);
      await writes.abandon(scope, "key");
      expect(await writes.begin(scope, claim("other"))).toEqual({ kind: "done", answer });
    });

    test("finishing and abandoning what was never begun changes nothing", async () => {
      await using subject = await make();
      const { writes } = subject.engine;
      const scope = `${freshTenant()}/createTemplate`;
      await writes.finish(scope, "key", answer);
      await writes.abandon(scope, "key");
      expect(await writes.begin(scope, claim())).toEqual({ kind: "begun" });
    });

    test("one that never finished is given free after a minute, one that did lives a day", async () => {
      await using subject = await make();
      const { writes } = subject.engine;
      const [stuck, done] = [`${freshTenant()}/a`, `${freshTenant()}/b`];
      await writes.begin(stuck, claim());
      await writes.begin(done, claim());
      await writes.finish(done, "key", answer);
      await subject.advance(59_999);
      expect(await writes.begin(stuck, claim())).toEqual({ kind: "in_flight" });
      await subject.advance(1);
      expect(await writes.begin(stuck, claim("other"))).toEqual({ kind: "begun" });
      expect(await writes.begin(stuck, claim("other"))).toEqual({ kind: "in_flight" });
      expect(await writes.begin(done, claim())).toEqual({ kind: "done", answer });
      await subject.advance(DAY_MS - 60_001);
      expect(await writes.begin(done, claim())).toEqual({ kind: "done", answer });
      await subject.advance(1);
      expect(await writes.begin(done, claim("other"))).toEqual({ kind: "begun" });
    });
  });
}
