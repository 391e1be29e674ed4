// Why: what may be changed while the operator runs, for whoever may `kubectl port-forward` to its pod: how much it logs. It listens
// on the loopback address only, so that nobody else in the network reaches it.
import { LOG_LEVELS } from "@nexus/protocol/config.ts";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { LogLevels } from "./log.ts";
import { type Listening, listening, text } from "./ops.ts";

/** `PUT /log-level`. With `minutes` the level goes back by itself. */
const LogLevelChange = Type.Object(
  {
    level: Type.Union(LOG_LEVELS.map((level) => Type.Literal(level))),
    minutes: Type.Optional(Type.Integer({ minimum: 1, maximum: 1440 })),
  },
  { additionalProperties: false },
);
type LogLevelChange = Static<typeof LogLevelChange>;

const WRONG = `the body must be {"level": one of ${LOG_LEVELS.join(", ")}, "minutes": 1 to 1440, or absent: until the next change}`;
const MOST_BYTES = 1024;

/** `port` 0: any. @throws Error when the port is taken */
export function startLocalPort(port: number, levels: LogLevels): Listening {
  const http = Bun.serve({
    hostname: "127.0.0.1",
    port,
    maxRequestBodySize: MOST_BYTES,
    routes: {
      "/log-level": {
        GET: () => Response.json({ level: levels.level() }),
        PUT: async (request) => {
          const change = await changeOf(request);
          if (!change) return text(400, WRONG);
          levels.set(change.level, change.minutes);
          return Response.json({ level: levels.level() });
        },
      },
    },
    fetch: () => text(404, "not found"),
  });
  return listening(http);
}

async function changeOf(request: Request): Promise<LogLevelChange | undefined> {
  try {
    const body: unknown = await request.json();
    return Value.Check(LogLevelChange, body) ? body : undefined;
  } catch {
    return undefined; // no JSON: the answer says what would be right
  }
}
