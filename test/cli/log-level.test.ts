// Why: a level is changed by the program inside the pod, on the loopback, with the pod's own credentials; from outside by kubectl exec.
import { expect, test } from "bun:test";
import { execArguments } from "@nexus/cli/log-level/pods.ts";
import { startLocalPort } from "@nexus/operator/kube/local-port.ts";
import { createOperatorLog, LogLevels } from "@nexus/operator/kube/log.ts";
import { systemClock } from "@nexus/operator/loop/clock.ts";
import { ADMIN_TOKEN, adminFiles, startRealServer } from "../support/real-server.ts";
import { nexus } from "./dev-process.ts";

test("the server of the pod it is run in takes it, for a while", async () => {
  await using files = await adminFiles();
  await using real = await startRealServer({ env: files.env });
  const env = { ...files.env, NEXUS_ADMIN_HOST: "127.0.0.1", NEXUS_ADMIN_PORT: String(real.server.adminPort) };
  const done = await nexus(["log-level", "warn", "--minutes", "5"], env);
  expect(done).toEqual({ code: 0, out: "This process logs at warn for 5 minutes.\n", err: "" });
  expect(real.lines.find(({ event }) => event === "log.level_changed")).toMatchObject({ from: "debug", to: "warn", fromMinutes: 5 });
  await files.writeTokens("another-token-than-before");
  const refused = await nexus(["log-level", "info"], env);
  expect(refused.code).toBe(1);
  expect(refused.err).toContain("it was refused: 401");
  expect(refused.err).not.toContain("another-token");
  expect(done.out + done.err).not.toContain(ADMIN_TOKEN);
});

test("so does the operator of the pod it is run in", async () => {
  const lines: string[] = [];
  const log = createOperatorLog({ level: "info", clock: systemClock, write: (line) => lines.push(line) });
  const levels = new LogLevels(log, systemClock);
  const port = startLocalPort(0, levels);
  try {
    const env = { NEXUS_OPERATOR_LOCAL_PORT: String(port.port) };
    expect(await nexus(["log-level", "debug", "--minutes", "1"], env)).toMatchObject({ code: 0, err: "" });
    expect([log.level(), lines.length]).toEqual(["debug", 1]);
  } finally {
    levels.stop();
    await port.stop();
  }
});

test("where neither runs, and where the call cannot work, it says so", async () => {
  expect(await nexus(["log-level", "debug"])).toMatchObject({ code: 1, err: expect.stringContaining("name a CLUSTER, or --operator") });
  for (const [args, words] of [
    [["log-level"], "LEVEL: must be debug, info, warn or error"],
    [["log-level", "loud"], "LEVEL: must be"],
    [["log-level", "debug", "--minutes", "0"], "--minutes: must be a whole number from 1 to 1440"],
    [["log-level", "debug", "live", "--operator"], "does not go with a CLUSTER"],
  ] as const)
    expect(await nexus(args)).toMatchObject({ code: 2, err: expect.stringContaining(words) });
});

test("kubectl is asked for one thing in one container", () => {
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "live-server-a", namespace: "shop" } };
  expect(execArguments(pod, "server", { level: "debug", minutes: 10 }, ["--context=east"])).toEqual([
    ...["--context=east", "exec", "-n", "shop", "live-server-a", "-c", "server", "--"],
    ...["/usr/bin/nexus", "log-level", "debug", "--minutes", "10"],
  ]);
});
