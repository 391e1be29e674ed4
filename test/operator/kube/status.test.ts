// Why: a store lags behind our own writes. A status that goes there and back faster than the watch must end where it belongs.
import { expect, test } from "bun:test";
import { createStatusWriter } from "@nexus/operator/kube/status.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import type { KubeApi } from "@nexus/operator/loop/ports.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";

type Live = KubeObject & { readonly status?: unknown };

test("a change back is written although the copy in hand still shows the state before the first change", async () => {
  const stale: Live = {
    apiVersion: "nexus.dev/v1alpha1",
    kind: "NexusCluster",
    metadata: { name: "live", namespace: "a", uid: "u", resourceVersion: "10" },
    status: { replicas: 1 },
  };
  let server: Live = stale;
  const apply = async (_kind: unknown, object: KubeObject) => {
    const metadata = { ...server.metadata, resourceVersion: String(Number(server.metadata.resourceVersion) + 1) };
    server = { ...object, metadata };
    return { object: server, created: false };
  };
  // The writer calls nothing else, and reads the answer as an object with a status.
  const writer = createStatusWriter({ apply: apply as KubeApi["apply"] });
  const write = (live: Live, replicas: number) => writer.write({ kind: KINDS.NexusCluster, live, status: { replicas } });
  expect(await write(stale, 0)).toBe("written");
  expect(await write(stale, 1)).toBe("written");
  expect(server.status).toEqual({ replicas: 1 });
  expect(await write(stale, 1)).toBe("inSync");
  expect(await write(server, 1)).toBe("inSync");
});
