// Why: what the hot path asks of the live configuration (settings of a tenant, a template, whose key this is), answered
// from maps that a push changes entry by entry. It must never keep a key itself, only hashes.
import { timingSafeEqual } from "node:crypto";
import { type ClusterSettings, type TemplateSettings, type TenantSettings, templateEntryId } from "@nexus/protocol/bundle.ts";
import { sha256 } from "@nexus/protocol/canonical.ts";
import { KEY_SCOPES } from "@nexus/protocol/resources/credentials.ts";
import type { Delivery, Limits } from "@nexus/protocol/resources/settings.ts";
import { type HeldSpec, parseTemplate } from "./bundle-entries.ts";
import type { Clock, KeyHolder } from "./ports.ts";
import type { Tombstone } from "./purge-ports.ts";

/** Fields of one process laid over what the cluster's entry says. `processes`: how many share what is said per pod; 1 when absent. */
export type SettingsOverrides = {
  readonly limits?: Partial<Limits>;
  readonly delivery?: Partial<Delivery>;
  readonly processes?: number;
};

/** Parsed templates that are kept: a memo over the texts, least recently used goes first. */
const PARSED_TEMPLATES = 4096;

type KnownKey = { readonly hash: Buffer; readonly notAfter: number; readonly holder: KeyHolder };
type HashedKeys = readonly {
  readonly name: string;
  readonly hashes: readonly { readonly sha256: string; readonly not_after?: string }[];
}[];

export class BundleIndex {
  readonly #defaults: ClusterSettings;
  readonly #overrides: SettingsOverrides;
  readonly #clock: Clock;
  #cluster: ClusterSettings;
  readonly #tenants = new Map<string, TenantSettings>();
  readonly #templates = new Map<string, string>();
  readonly #parsed = new Map<string, TemplateSettings>();
  readonly #tombstones = new Map<string, string>();
  /** By hex hash. Two holders of one key are two entries: the first is found, whoever it is. */
  readonly #keys = new Map<string, KnownKey[]>();

  constructor(options: { defaults: ClusterSettings; overrides: SettingsOverrides; clock: Clock }) {
    this.#defaults = options.defaults;
    this.#overrides = options.overrides;
    this.#clock = options.clock;
    this.#cluster = this.#laidOver(options.defaults);
  }

  cluster(): ClusterSettings {
    return this.#cluster;
  }

  tenant(id: string): TenantSettings | undefined {
    return this.#tenants.get(id);
  }

  tenantIds(): readonly string[] {
    return [...this.#tenants.keys()].sort();
  }

  tombstones(): readonly Tombstone[] {
    return [...this.#tombstones].map(([tenant, uid]) => ({ tenant, uid }));
  }

  template(tenant: string, id: string): TemplateSettings | undefined {
    const key = templateEntryId(tenant, id);
    const known = this.#parsed.get(key);
    if (known) {
      if (this.#parsed.size >= PARSED_TEMPLATES) this.#remember(key, known);
      return known;
    }
    const json = this.#templates.get(key);
    if (json === undefined) return undefined;
    const settings = parseTemplate(key, json);
    this.#remember(key, settings);
    return settings;
  }

  /** Ids of a tenant's templates, ascending. Looks at every template there is: for lists, not for sends. */
  templateIds(tenant: string): readonly string[] {
    const prefix = templateEntryId(tenant, "");
    const ids: string[] = [];
    for (const key of this.#templates.keys()) if (key.startsWith(prefix)) ids.push(key.slice(prefix.length));
    return ids.sort();
  }

  /**
   * SHA-256 of the key, looked up by its hash and compared in constant time: what time can tell about a hash that the
   * caller cannot steer is of no use to them. A key past its `not_after` is unknown.
   */
  keyHolder(apiKey: string): KeyHolder | undefined {
    const hex = sha256(apiKey);
    const candidates = this.#keys.get(hex);
    if (!candidates) return undefined;
    const hash = Buffer.from(hex, "hex");
    for (const known of candidates) {
      if (timingSafeEqual(known.hash, hash) && known.notAfter > this.#clock.now()) return known.holder;
    }
    return undefined;
  }

  /** How many entries of each kind are live. */
  counts(): { readonly tenants: number; readonly templates: number } {
    return { tenants: this.#tenants.size, templates: this.#templates.size };
  }

  /** One entry went, came or was replaced (both given). */
  replace(before: HeldSpec | undefined, after: HeldSpec | undefined): void {
    if (before) this.#remove(before);
    if (after) this.#add(after);
    if (before?.kind === "cluster" && !after) this.#cluster = this.#laidOver(this.#defaults);
  }

  #add(held: HeldSpec): void {
    switch (held.kind) {
      case "cluster":
        this.#cluster = this.#laidOver(held.spec);
        this.#addKeys(held.spec.platform_keys, ({ name }) => ({ tenant: undefined, name, scopes: KEY_SCOPES }));
        return;
      case "tenant": {
        this.#tenants.set(held.id, held.spec);
        const scopes = new Map(held.spec.api_keys.map((key) => [key.name, key.scopes]));
        this.#addKeys(held.spec.api_keys, ({ name }) => ({ tenant: held.id, name, scopes: scopes.get(name) ?? [] }));
        return;
      }
      case "template":
        this.#templates.set(held.id, held.json);
        return;
      case "tombstone":
        this.#tombstones.set(held.id, held.uid);
        return;
      default:
        held satisfies never;
    }
  }

  #remove(held: HeldSpec): void {
    switch (held.kind) {
      case "cluster":
        this.#removeKeys(held.spec.platform_keys, undefined);
        return;
      case "tenant":
        this.#tenants.delete(held.id);
        this.#removeKeys(held.spec.api_keys, held.id);
        return;
      case "template":
        this.#templates.delete(held.id);
        this.#parsed.delete(held.id);
        return;
      case "tombstone":
        this.#tombstones.delete(held.id);
        return;
      default:
        held satisfies never;
    }
  }

  #addKeys(keys: HashedKeys, holderOf: (key: { name: string }) => KeyHolder): void {
    for (const key of keys) {
      const holder = holderOf(key);
      for (const { sha256: hex, not_after } of key.hashes) {
        const notAfter = not_after === undefined ? Number.POSITIVE_INFINITY : Date.parse(not_after);
        const known = { hash: Buffer.from(hex, "hex"), notAfter: Number.isNaN(notAfter) ? 0 : notAfter, holder };
        this.#keys.set(hex, [...(this.#keys.get(hex) ?? []), known]);
      }
    }
  }

  #removeKeys(keys: HashedKeys, tenant: string | undefined): void {
    for (const key of keys) {
      for (const { sha256: hex } of key.hashes) {
        const left = (this.#keys.get(hex) ?? []).filter(({ holder }) => holder.tenant !== tenant || holder.name !== key.name);
        if (left.length > 0) this.#keys.set(hex, left);
        else this.#keys.delete(hex);
      }
    }
  }

  #remember(key: string, settings: TemplateSettings): void {
    this.#parsed.delete(key);
    this.#parsed.set(key, settings);
    if (this.#parsed.size <= PARSED_TEMPLATES) return;
    for (const oldest of this.#parsed.keys()) {
      this.#parsed.delete(oldest);
      return;
    }
  }

  #laidOver(spec: ClusterSettings): ClusterSettings {
    const { delivery = {}, processes = 1 } = this.#overrides;
    const limits = { ...spec.limits, ...this.#overrides.limits };
    const connectionsPerPod = Math.ceil(limits.connectionsPerPod / processes);
    return { ...spec, limits: { ...limits, connectionsPerPod }, delivery: { ...spec.delivery, ...delivery } };
  }
}
