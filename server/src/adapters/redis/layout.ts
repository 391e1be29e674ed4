// Why: during a rollout two releases share one Redis, and each reads only keys of the layouts it knows. Who uses which layout
// is written down in Redis, so that a release that cannot work there says so at its start instead of losing what is kept.
// It must never end a server that runs.
import type { Log } from "../../core/ports.ts";
import type { RedisLink, Script } from "./link.ts";

export type LayoutDeps = {
  readonly link: Pick<RedisLink, "run">;
  /** Of the installation: `Keys.layout(prefix)`. */
  readonly key: string;
  /** Of this release: `LAYOUT`. */
  readonly layout: number;
  readonly prefix: string;
  readonly log: Pick<Log, "error" | "warn">;
};

export type LayoutUse = {
  /** Says again that this layout is in use; by itself every 10 s. A conflict that came up since is logged. */
  renew(): Promise<void>;
  /** Whether somebody uses a layout that cannot be shared with, as of the last renewal. */
  isInConflict(): boolean;
  close(): void;
};

const LEASE_MS = 30_000;
const RENEW_MS = 10_000;

/**
 * A hash: layout → Redis time in ms until which somebody says to use it. Fields stay, so that the layout used last is known
 * when nobody runs. Takes the lease unless a layout in use, or the last one when none is, is neither equal nor adjacent;
 * then it answers that layout and whether it is in use. ARGV: own layout, lease in ms, and 1 to only renew.
 */
const USE_LAYOUT: Script = {
  name: "useLayout",
  lua: `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mine = tonumber(ARGV[1])
local last, lastUntil, used, conflict = nil, 0, false, nil
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local layout, untilMs = tonumber(all[i]), tonumber(all[i + 1])
  if untilMs > now then
    used = true
    if math.abs(layout - mine) > 1 then conflict = layout end
  end
  if untilMs > lastUntil then last, lastUntil = layout, untilMs end
end
if not used and last and math.abs(last - mine) > 1 then conflict = last end
if conflict and ARGV[3] ~= '1' then return {conflict, used and 1 or 0} end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d', now + ARGV[2]))
if conflict then return {conflict, used and 1 or 0} end
return {}
`,
};

/**
 * Takes part in the installation. @throws Error naming both layouts and what to do when this release cannot work there;
 * Failure `broker_unavailable`
 */
export async function useLayout(deps: LayoutDeps): Promise<LayoutUse> {
  const { layout, prefix, log } = deps;
  const found = await ask(deps, false);
  if (found) throw new Error(refusal({ ...found, layout, prefix }));
  let isInConflict = false;
  const renew = async () => {
    try {
      const now = await ask(deps, true);
      isInConflict = now !== undefined;
      if (now) log.error("redis.layout_conflict", { layout, other: now.other });
    } catch (error) {
      log.warn("redis.layout_unrenewed", { error });
    }
  };
  const timer = setInterval(() => void renew(), RENEW_MS);
  timer.unref();
  return { renew, isInConflict: () => isInConflict, close: () => clearInterval(timer) };
}

type Conflict = { readonly other: number; readonly isInUse: boolean };

async function ask({ link, key, layout }: LayoutDeps, renewing: boolean): Promise<Conflict | undefined> {
  const answer = await link.run(USE_LAYOUT, [key], [layout, LEASE_MS, renewing ? 1 : 0]);
  if (!Array.isArray(answer) || answer.length < 2) return undefined;
  return { other: Number(answer[0]), isInUse: answer[1] === 1 };
}

function refusal({ other, isInUse, layout, prefix }: Conflict & { readonly layout: number; readonly prefix: string }): string {
  const step = other < layout ? other + 1 : other - 1;
  const facts = isInUse
    ? `Servers with key layout ${other} use NEXUS_REDIS_PREFIX ${prefix}, and this release has layout ${layout}`
    : `What NEXUS_REDIS_PREFIX ${prefix} holds was last written with key layout ${other}, and this release has layout ${layout}`;
  return `${facts}; only adjacent layouts can share a Redis. Roll out a release with layout ${step} first, or give this one another prefix.`;
}
