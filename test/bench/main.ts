// Why: `npm run bench [name…]`: figures with the floor beside them, printed, never asserted.
import { bootTemplates } from "./boot-templates.ts";
import { bundleEdit } from "./bundle-edit.ts";
import { fanOut } from "./fan-out.ts";
import { fleetDelivery } from "./fleet-delivery.ts";
import { fleetLatency } from "./fleet-latency.ts";
import { fleetPresence } from "./fleet-presence.ts";
import { fleetReconnect } from "./fleet-reconnect.ts";
import { gatherWindow } from "./gather-window.ts";
import { hostile } from "./hostile.ts";
import { idleMemory } from "./idle-memory.ts";
import { latency } from "./latency.ts";
import { metricsCpu } from "./metrics-cpu.ts";
import { metricsScrape } from "./metrics-scrape.ts";
import { postgresLayout } from "./postgres-layout.ts";
import { postgresPublish } from "./postgres-publish.ts";
import { processes } from "./processes.ts";
import { reconnect } from "./reconnect.ts";
import { redisPublish } from "./redis-publish.ts";
import { restPublish } from "./rest-publish.ts";
import { singleUser } from "./single-user.ts";
import { sqlitePublish } from "./sqlite-publish.ts";
import { startup } from "./startup.ts";
import { tracing } from "./tracing.ts";
import { triggers } from "./triggers.ts";

const BENCHES: Readonly<Record<string, () => Promise<void>>> = {
  "idle-memory": () => idleMemory(),
  "fan-out": fanOut,
  "gather-window": gatherWindow,
  "single-user": singleUser,
  latency,
  "rest-publish": restPublish,
  reconnect,
  hostile,
  "metrics-scrape": metricsScrape,
  "metrics-cpu": metricsCpu,
  tracing,
  startup,
  "boot-templates": bootTemplates,
  "bundle-edit": async () => bundleEdit(),
  "sqlite-publish": sqlitePublish,
  "redis-publish": redisPublish,
  "postgres-publish": postgresPublish,
  "postgres-layout": postgresLayout,
  "fleet-reconnect": fleetReconnect,
  triggers,
  processes,
  "fleet-delivery": fleetDelivery,
  "fleet-latency": fleetLatency,
  "fleet-presence": fleetPresence,
};

const wanted = process.argv.slice(2);
for (const name of wanted.length > 0 ? wanted : Object.keys(BENCHES)) {
  const bench = BENCHES[name];
  if (!bench) {
    process.stderr.write(`no benchmark "${name}"; one of ${Object.keys(BENCHES).join(", ")}\n`);
    process.exit(2);
  }
  console.log(`\n## ${name}`);
  await bench();
}
process.exit(0);
