// Why: how many pods, and how pods are exchanged. Shape only: §8 of the behaviour is the operator's.
import { Type } from "@sinclair/typebox";
import { choice, group, int, LIVE, secretKeyRef, text } from "../fields.ts";
import { celRule } from "../rules.ts";

const target = (fallback: number | undefined, description: string, maximum = 2147483647) => {
  const field = int(description, LIVE, { minimum: 1, maximum, ...(fallback === undefined ? {} : { default: fallback }) });
  return fallback === undefined ? Type.Optional(field) : field;
};

const targets = group(
  "What one pod should carry on average.",
  LIVE,
  {
    connectionsPerPod: int("Sessions.", LIVE, { minimum: 1, default: 10000 }),
    messagesPerSecondPerPod: Type.Optional(int("Deliveries a second.", LIVE, { minimum: 1 })),
    cpuPercent: target(70, "CPU, in percent of the request.", 1000),
    memoryPercent: target(80, "Memory, in percent of the request.", 1000),
  },
  { default: {} },
);

export const Autoscaling = group(
  "Lets the number of pods follow the load; replicas is ignored meanwhile.",
  LIVE,
  {
    provider: choice(
      ["Nexus", "HPA", "KEDA"],
      "Who scales: the operator itself, a HorizontalPodAutoscaler, or a KEDA ScaledObject.",
      LIVE,
      "Nexus",
    ),
    minReplicas: int("Never fewer pods.", LIVE, { minimum: 1, maximum: 1000, default: 2 }),
    maxReplicas: int("Never more pods.", LIVE, { minimum: 1, maximum: 1000 }),
    targets,
    scaleUp: group(
      "How it grows.",
      LIVE,
      {
        stabilizationSeconds: int("How long the need must last, in seconds.", LIVE, { default: 0, maximum: 3600 }),
        podsPerStep: int("Pods added at once.", LIVE, { minimum: 1, default: 4 }),
      },
      { default: {} },
    ),
    scaleDown: group(
      "How it shrinks.",
      LIVE,
      {
        stabilizationSeconds: int("How long the need must be gone, in seconds.", LIVE, { default: 600, maximum: 3600 }),
        podsPerStep: int("Pods removed at once.", LIVE, { minimum: 1, default: 1 }),
        stepSeconds: int("Time between two steps, in seconds.", LIVE, { minimum: 1, maximum: 1800, default: 60 }),
      },
      { default: {} },
    ),
    prometheus: Type.Optional(
      group("Where KEDA asks, with provider: KEDA.", LIVE, {
        serverAddress: text("URL of Prometheus.", LIVE, { minLength: 1, maxLength: 2048, pattern: "^https?://" }),
        authSecretRef: Type.Optional(secretKeyRef("Secret with a bearer token.", LIVE, "token")),
      }),
    ),
  },
  {
    "x-kubernetes-validations": [
      celRule<{ minReplicas: number; maxReplicas: number }>(
        "self.minReplicas <= self.maxReplicas",
        "minReplicas must not be greater than maxReplicas",
        ({ minReplicas, maxReplicas }) => minReplicas <= maxReplicas,
        ".minReplicas",
      ),
      celRule<{ provider: string; prometheus?: unknown }>(
        "self.provider != 'KEDA' || has(self.prometheus)",
        "prometheus is required with provider: KEDA",
        ({ provider, prometheus }) => provider !== "KEDA" || prometheus !== undefined,
      ),
    ],
  },
);

/** A number of pods, or a share of them. */
const podsOrPercent = (fallback: number, description: string) =>
  Type.Unsafe<number | string>({
    "x-kubernetes-int-or-string": true,
    anyOf: [{ type: "integer" }, { type: "string" }],
    minimum: 0,
    maximum: 1000,
    pattern: "^([0-9]|[1-9][0-9]|100)%$",
    maxLength: 4,
    default: fallback,
    description: `${description} ${LIVE}`,
  });

const isZero = (amount: number | string): boolean => amount === 0 || amount === "0%";

export const Rollout = group(
  "How pods are exchanged.",
  LIVE,
  {
    maxSurge: podsOrPercent(1, "Pods that may be there above the wanted number, as a number or percentage."),
    maxUnavailable: podsOrPercent(0, "Pods that may be missing meanwhile, as a number or percentage."),
    upgrades: choice(
      ["Manual", "Automatic"],
      "What happens when a new operator would render other pods from the same spec: wait for approve, or go ahead.",
      LIVE,
      "Manual",
    ),
    approve: Type.Optional(text("Digest of status.pendingRollout to release.", LIVE, { maxLength: 128 })),
  },
  {
    default: { maxSurge: 1, maxUnavailable: 0 }, // a rule is checked against the default as it is written
    "x-kubernetes-validations": [
      celRule<{ maxSurge: number | string; maxUnavailable: number | string }>(
        "!(string(self.maxSurge) in ['0', '0%'] && string(self.maxUnavailable) in ['0', '0%'])",
        "maxSurge and maxUnavailable must not both be 0: no pod could ever be exchanged",
        ({ maxSurge, maxUnavailable }) => !(isZero(maxSurge) && isZero(maxUnavailable)),
      ),
    ],
  },
);
