// Why: templates made by REST, in one hash per tenant, seen by every node at once.
// It must never answer one tenant with another's, nor lose the update of who was faster.
import type { StoredTemplate, TemplateStore } from "../../core/record-ports.ts";
import type { Reply, Script } from "./link.ts";
import type { RedisParts } from "./parts.ts";

const CREATE: Script = {
  name: "nexusTemplateCreate",
  lua: `
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 'exists' end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 'limit' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 'created'`,
};

/** A stored text begins with its `updatedAt` and a line break. */
const REPLACE: Script = {
  name: "nexusTemplateReplace",
  lua: `
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if not stored then return 'missing' end
if string.match(stored, '^[^\\n]*') ~= ARGV[3] then return 'changed' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 'replaced'`,
};

/** Every call may throw `Failure` `broker_unavailable`. */
export function createRedisTemplates({ link, keys }: Pick<RedisParts, "link" | "keys">): TemplateStore {
  const keyOf = (tenant: string) => keys.ofTenant(tenant, "t");
  return {
    async get(tenant, id) {
      const text = await link.call("HGET", keyOf(tenant), id);
      return typeof text === "string" ? decode(text) : undefined;
    },
    async list(tenant) {
      const all = (await textsOf(link.call("HVALS", keyOf(tenant)))).map(decode);
      return all.sort((a, b) => (a.settings.template_id < b.settings.template_id ? -1 : 1));
    },
    async create(tenant, template, limit) {
      const outcome = await link.run(CREATE, [keyOf(tenant)], [template.settings.template_id, encode(template), limit]);
      return oneOf(outcome, ["created", "exists", "limit"] as const);
    },
    async replace(tenant, template, expectedUpdatedAt) {
      const args = [template.settings.template_id, encode(template), String(expectedUpdatedAt)];
      return oneOf(await link.run(REPLACE, [keyOf(tenant)], args), ["replaced", "missing", "changed"] as const);
    },
    async delete(tenant, id) {
      return (await link.call("HDEL", keyOf(tenant), id)) === 1;
    },
  };
}

const encode = (template: StoredTemplate): string => `${template.updatedAt}\n${JSON.stringify(template)}`;

function decode(text: string): StoredTemplate {
  const { description, ...rest } = JSON.parse(text.slice(text.indexOf("\n") + 1)) as StoredTemplate; // what encode wrote
  return { ...rest, description }; // a member that is undefined is not in the text
}

async function textsOf(reply: Promise<Reply>): Promise<string[]> {
  const list = await reply;
  return Array.isArray(list) ? list.filter((text) => typeof text === "string") : [];
}

function oneOf<T extends string>(reply: Reply, words: readonly T[]): T {
  const word = words.find((one) => one === reply);
  if (word === undefined) throw new Error("a script answered what it cannot say");
  return word;
}
