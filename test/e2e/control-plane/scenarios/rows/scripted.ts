// Why: what a real API server does on a bad day only is said by a scripted one: 429 with Retry-After, versions from the future,
// watches without bookmarks. The operator's own reflector and transport are the ones under test.
import { expect } from "bun:test";
import { startReflector } from "@nexus/operator/kube/reflector.ts";
import { createTransport } from "@nexus/operator/kube/transport.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import type { WatchEvent } from "@nexus/operator/loop/ports.ts";
import { eventually } from "../../../../support/eventually.ts";
import { event, page, type SeenRequest, startScriptedApi, status, watchStream } from "../../../../support/kube/scripted-api.ts";
import type { Scenario } from "../scenario.ts";

const isWatch = ({ query }: SeenRequest): boolean => query.get("watch") === "true";

/** A reflector of ConfigMaps over `handle`, until `work` is done. */
async function reflecting(
  handle: (request: SeenRequest) => Response | Promise<Response>,
  work: (seen: {
    readonly events: readonly WatchEvent<unknown>[];
    readonly requests: readonly SeenRequest[];
    readonly names: () => string[];
  }) => Promise<void>,
): Promise<void> {
  await using api = await startScriptedApi(handle);
  const events: WatchEvent<unknown>[] = [];
  const reflector = startReflector({
    transport: createTransport({ access: api.access(), userAgent: "nexus-scenario" }),
    kind: KINDS.ConfigMap,
    onEvent: (one) => events.push(one),
  });
  try {
    await work({ events, requests: api.seen, names: () => [...reflector.store.keys()].sort() });
  } finally {
    await reflector.stop();
  }
}

export const SCRIPTED: readonly Scenario<undefined>[] = [
  {
    source: "kubernetes/kubernetes#34938",
    title: "429 with Retry-After is waited for, not hammered",
    symptom: "requests refused with 429 were sent again unthrottled, and made the overload worse",
    answer: "Retry-After is kept to, with jitter on top; a few tries inside the call's deadline, then the key's own back-off",
    async run() {
      const atMs: number[] = [];
      await using api = await startScriptedApi(() => {
        atMs.push(performance.now());
        return atMs.length <= 2 ? status(429, "TooManyRequests", {}, { "retry-after": "1" }) : Response.json({ kind: "ConfigMap" });
      });
      const transport = createTransport({ access: api.access(), userAgent: "nexus-scenario" });
      const answer = await transport.request({ method: "GET", path: "/api/v1/namespaces/ns/configmaps/a" });
      expect(answer.status).toBe(200);
      expect(atMs.length).toBe(3);
      const waits = atMs.slice(1).map((at, index) => at - (atMs[index] ?? 0));
      for (const wait of waits) expect(wait).toBeGreaterThanOrEqual(995);
    },
  },
  {
    source: "kubernetes/kubernetes#107133",
    title: '"Too large resource version" is answered by a new list, not by asking for the same for ever',
    symptom: "a reflector looped with a version from the future until objects changed",
    answer: "the version is forgotten, and what is there now is listed",
    async run() {
      let lists = 0;
      const causes = [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }];
      const second = watchStream();
      await reflecting(
        (request) => {
          if (!isWatch(request)) return ++lists === 1 ? page("900", { a: "800", b: "900" }) : page("120", { a: "110" });
          return lists === 1 ? status(504, "Timeout", { details: { causes, retryAfterSeconds: 1 } }) : second.response;
        },
        async ({ names, requests }) => {
          await eventually("the list of now is in the store", () => lists === 2 && names().join() === "ns/a");
          await eventually("it watches from there", () =>
            requests.some((one) => isWatch(one) && one.query.get("resourceVersion") === "120"),
          );
          second.send(event("ADDED", "c", "121"));
          await eventually("events arrive", () => names().join() === "ns/a,ns/c");
        },
      );
    },
  },
  {
    source: "kubernetes/kubernetes#129266",
    title: "without bookmarks, an old version is expired once, not again and again",
    symptom: '"too old resource version" for ever: the version stayed the same from one try to the next',
    answer: "410 forgets the version: one list, and the watch goes on from there; what did not change is no event",
    async run() {
      let lists = 0;
      let watches = 0;
      const live = watchStream();
      await reflecting(
        (request) => {
          if (!isWatch(request)) return page(String(100 * ++lists), { a: "10", b: "20" });
          watches++;
          if (watches === 1) {
            const quiet = watchStream();
            quiet.end(); // ends as planned, and nothing was said meanwhile
            return quiet.response;
          }
          return watches === 2 ? status(410, "Expired") : live.response;
        },
        async ({ names, events, requests }) => {
          await eventually(
            "it watches from the second list",
            () => requests.filter(isWatch).at(-1)?.query.get("resourceVersion") === "200",
          );
          expect(requests.filter(isWatch).map(({ query }) => query.get("resourceVersion"))).toEqual(["100", "100", "200"]);
          live.send(event("MODIFIED", "a", "201"));
          await eventually("the edit arrives", () => events.length === 3);
          expect(events.map(({ type, key }) => `${type} ${key}`)).toEqual(["added ns/a", "added ns/b", "modified ns/a"]);
          expect([lists, names().join()]).toEqual([2, "ns/a,ns/b"]);
        },
      );
    },
  },
];
