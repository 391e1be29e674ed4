// Why: the cases of the burn rates. The longer the window, the slower a world has to burn to be on one side of its threshold.
import { LATENCY_OBJECTIVE, MINIMUM_ERRORS } from "@nexus/operator/desired/monitoring/rules/slo.ts";
import { type AlertCase, histogram, once, rises, type World } from "./case.ts";
import { HEALTHY_FLEET } from "./healthy.ts";

type Words = { readonly slo: string; readonly alerts: string };

type Made = Words & {
  /** Of `of` events a step `errors` are bad. */
  readonly world: (errors: number, of: number) => World;
  /** Bad ones, and nothing else. */
  readonly onlyErrors?: (errors: string) => World;
  /** The short window is far above `share`; the long one, which saw better times, never is. */
  readonly settles?: (share: number, suffix: Suffix) => World;
};

const BURNS = [
  { suffix: "BurnsFast", long: "1h", short: "5m", factor: 14.4 },
  { suffix: "Burns", long: "6h", short: "30m", factor: 6 },
  { suffix: "BurnsSlowly", long: "3d", short: "6h", factor: 1 },
] as const;

type Suffix = (typeof BURNS)[number]["suffix"];

/** As few as wake somebody; where the short window is of five minutes they have to go on, or it is over when they are counted. */
const fewest = (suffix: Suffix): string => (suffix === "BurnsFast" ? rises(MINIMUM_ERRORS / 10) : once(MINIMUM_ERRORS));

/** How long all is well, then how long errors come, in steps, and how many times what is allowed: 95 % of it in the long window. */
const TIMES: Readonly<Record<Suffix, readonly [well: number, bad: number, factor: number]>> = {
  BurnsFast: [40, 36, 2],
  Burns: [200, 186, 2],
  BurnsSlowly: [840, 270, 4],
};

/** Of so many events a step; enough for shares of a tenth of a per mille. */
const EVENTS = 10_000_000;

/** Each suffix of a promise whose errors may be `budget` of all. */
const burning = ({ slo, alerts, world, onlyErrors, settles }: Made, budget: number): readonly AlertCase[] =>
  BURNS.map(({ suffix, long, short, factor }) => {
    const share = factor * budget;
    const above = share * 1.02;
    return {
      alert: `${alerts}${suffix}`,
      fires: {
        series: world(Math.round(EVENTS * above), EVENTS),
        onsetSeconds: 30, // the first rate
        labels: { slo, long, short },
        says: [`${Number((above * 100).toPrecision(4))}%`, `${Number((above * 100).toPrecision(4))}%`],
      },
      silent: HEALTHY_FLEET,
      boundary: [
        world(Math.round(EVENTS * share * 0.999), EVENTS),
        ...(onlyErrors ? [onlyErrors(once(MINIMUM_ERRORS - 1))] : []),
        ...(settles ? [settles(share, suffix)] : []),
      ],
      missing: onlyErrors
        ? { series: onlyErrors(fewest(suffix)), fires: true, because: "nothing is delivered at all any more: all there is are errors" }
        : { series: {}, fires: false, because: "where nothing is tried nothing fails; no pod at all is NexusFleetDown" },
    };
  });

const FAILED = 'nexus_publishes_total{stream="channel",outcome="failed"}';
const delivery: Made = {
  slo: "delivery",
  alerts: "NexusDeliveryBudget",
  world: (errors, of) => ({
    'nexus_deliveries_total{transport="websocket"}': rises(of - errors),
    'nexus_dropped_total{reason="slow_consumer"}': rises(errors - Math.floor(errors / 2)),
    'nexus_dropped_total{reason="expired"}': rises(of), // nobody's error
    [FAILED]: rises(Math.floor(errors / 2)),
    'nexus_publishes_total{stream="channel",outcome="refused"}': rises(of), // the publisher's
  }),
  onlyErrors: (errors) => ({ [FAILED]: errors }),
  settles: (share, suffix) => {
    const [well, bad, factor] = TIMES[suffix];
    const step = Math.round(EVENTS * share * factor);
    return {
      'nexus_deliveries_total{transport="websocket"}': `0+${EVENTS}x3000`,
      'nexus_dropped_total{reason="slow_consumer"}': `0+0x${well - 1} ${step}+${step}x${bad - 1} ${step * bad}+0x1000`,
    };
  },
};

const latency: Made = {
  slo: "latency",
  alerts: "NexusLatencyBudget",
  // Of Prometheus 3: `1` is stored as `1.0`; the objective of 500 ms is a bound of its own.
  world: (errors, of) => histogram("nexus_delivery_latency_seconds", { "0.25": of - 2 * errors, "0.5": of - errors, "1.0": of }),
};

const handshakes: Made = {
  slo: "handshakes",
  alerts: "NexusHandshakeBudget",
  world: (errors, of) => ({
    'nexus_handshakes_total{transport="websocket",outcome="accepted"}': rises(of - errors),
    'nexus_handshakes_total{transport="websocket",outcome="failed"}': rises(errors),
    'nexus_handshakes_total{transport="websocket",outcome="rejected"}': rises(of), // the client's
  }),
  onlyErrors: (errors) => ({ 'nexus_handshakes_total{transport="sse",outcome="failed"}': errors }),
};

export const SLO_CASES: readonly AlertCase[] = [
  ...burning(delivery, 0.001),
  ...burning(latency, 1 - LATENCY_OBJECTIVE),
  ...burning(handshakes, 0.001),
];
