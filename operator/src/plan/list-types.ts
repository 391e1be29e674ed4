// Why: which lists the API server merges by key, which values it rewrites. Kept by hand from the OpenAPI list types of
// the kinds we render (apps, core, policy, autoscaling); a test against a real API server finds a missing line, because
// an apply that changes nothing is counted. A list that is not named here is atomic.
import type { EntryKey, Path } from "./path.ts";

type KeyRule = { readonly keys: readonly string[]; readonly defaults?: EntryKey };

const BY_NAME: KeyRule = { keys: ["name"] };
const KEYED: Readonly<Record<string, KeyRule>> = {
  containers: BY_NAME,
  initContainers: BY_NAME,
  ephemeralContainers: BY_NAME,
  env: BY_NAME,
  volumes: BY_NAME,
  groups: BY_NAME, // of a PrometheusRule
  imagePullSecrets: BY_NAME,
  secrets: BY_NAME,
  resourceClaims: BY_NAME,
  schedulingGates: BY_NAME,
  volumeMounts: { keys: ["mountPath"] },
  volumeDevices: { keys: ["devicePath"] },
  topologySpreadConstraints: { keys: ["topologyKey", "whenUnsatisfiable"] },
  hostAliases: { keys: ["ip"] },
  conditions: { keys: ["type"] },
  ownerReferences: { keys: ["uid"] },
};
const CONTAINER_PORTS: KeyRule = { keys: ["containerPort", "protocol"], defaults: { protocol: "TCP" } };
const SERVICE_PORTS: KeyRule = { keys: ["port", "protocol"], defaults: { protocol: "TCP" } };

/** Lists in which an entry of somebody else is worth telling: they change what runs in our pods. */
const TOLD = new Set(["containers", "initContainers", "volumes", "env"]);

const lastField = (path: Path): string | undefined => path.findLast((segment) => typeof segment === "string");

/** How entries of the list at `path` are told apart; undefined = atomic. `items` settles which `ports` these are. */
export function keyRule(path: Path, items: readonly unknown[]): KeyRule | undefined {
  const name = lastField(path) ?? "";
  if (name !== "ports") return KEYED[name];
  if (items.some((item) => typeof item === "object" && item !== null && "containerPort" in item)) return CONTAINER_PORTS;
  return path.length === 2 ? SERVICE_PORTS : undefined; // spec.ports of a Service; a NetworkPolicy's are atomic
}

/** The key of one entry, with defaults filled in; undefined when a key field is absent. */
export function entryKey(rule: KeyRule, item: unknown): EntryKey | undefined {
  if (typeof item !== "object" || item === null) return undefined;
  const key: Record<string, string | number> = {};
  for (const name of rule.keys) {
    const value: unknown = Reflect.get(item, name) ?? rule.defaults?.[name];
    if (typeof value !== "string" && typeof value !== "number") return undefined;
    key[name] = value;
  }
  return key;
}

/** Whether foreign entries of this list are reported. */
export const isToldList = (path: Path): boolean => TOLD.has(lastField(path) ?? "");

/** A list whose entries are a set of scalars. */
export const isSet = (path: Path): boolean => lastField(path) === "finalizers";

const QUANTITY_PARENTS = new Set(["limits", "requests", "capacity", "hard", "overhead"]);
const QUANTITY_FIELDS = new Set(["sizeLimit", "divisor", "averageValue"]);

/** Whether the value at `path` is a quantity. Only here: an environment variable may look like one and is none. */
export function isQuantity(path: Path): boolean {
  const name = path.at(-1);
  const parent = path.at(-2);
  if (typeof name !== "string" || path[0] !== "spec") return false;
  if (QUANTITY_FIELDS.has(name)) return true;
  if (name === "value") return parent === "target" && path[1] === "metrics"; // HorizontalPodAutoscaler
  return typeof parent === "string" && QUANTITY_PARENTS.has(parent);
}

const INT_OR_STRING = new Set(["targetPort", "maxUnavailable", "maxSurge", "minAvailable", "port", "endPort"]);

/** Whether the value at `path` may be written as number or as string. */
export const isIntOrString = (path: Path): boolean => path[0] === "spec" && INT_OR_STRING.has(String(path.at(-1)));
