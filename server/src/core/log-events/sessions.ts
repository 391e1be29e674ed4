// Why: what happens to sessions, streams and publishes, as rows of the log catalogue. A line per message must never be here.
import { type LogCatalogue, logRow } from "@nexus/protocol/log-line.ts";

const BUG = "A bug: report it with this line and the version.";
const BROKER = "Look at the broker: lines redis.* and postgres.* around it, and broker in GET /health.";

export const SESSION_EVENTS = {
  "session.opened": logRow("debug", ["sessionId", "tenant", "transport"], "A session is open and has its first frames."),
  "session.closed": logRow("debug", ["sessionId", "tenant", "code"], "A session ended; the code says why."),
  "session.open_failed": logRow(
    "warn",
    ["sessionId", "code", "error", "count"],
    "Sessions were accepted and could not be opened; the client is told to come back.",
    BROKER,
  ),
  "session.leave_failed": logRow(
    "warn",
    ["sessionId", "error"],
    "The shared directory did not hear that a session left; its lease ends in 10 s.",
    BROKER,
  ),
  "session.failed": logRow(
    "error",
    ["sessionId", "tenant", "error"],
    "A client's frame made the server fail; the session was closed.",
    BUG,
  ),
  "socket.failed": logRow("error", ["sessionId", "error"], "A socket's handler failed; the session was closed.", BUG),
  "upgrade.failed": logRow("error", ["requestId", "error"], "An upgrade to WebSocket failed in the server.", BUG),
  "sse.failed": logRow("error", ["requestId", "error"], "An SSE request failed in the server.", BUG),
  "marks.lost": logRow("warn", ["count", "reason"], "What was delivered could not be noted: these entries are sent again.", BROKER),
  "hub.hole": logRow("warn", ["stream", "tenant", "reason"], "An announcement is missing; the node reads the store and catches up."),
  "hub.gap": logRow(
    "warn",
    ["stream", "tenant", "reason"],
    "Listeners were told that entries may be missing.",
    "Often: the broker was away longer than the history reaches; raise the channel's history or look at the broker.",
  ),
  "hub.catch_up_failed": logRow("debug", ["stream", "error"], "Reading the missed entries failed; it is tried again."),
  "hub.leave_failed": logRow("warn", ["stream", "error"], "A stream without listeners could not be given up; it is tried again.", BROKER),
  "publish.batch_broken": logRow(
    "error",
    ["tenant", "index", "error"],
    "An item of a batch made the server fail; the others went on.",
    BUG,
  ),
  "trigger.failed": logRow("error", ["error"], "A trigger made the server fail; it is tried again.", BUG),
  "triggers.refused": logRow(
    "warn",
    ["form", "code", "source", "count"],
    "Triggers were not publishable; those of a stream are in its dead letters.",
    "Tell whoever writes them; docs/triggers.md says what is valid.",
  ),
  "drain.started": logRow("info", ["sessions", "propagationSeconds"], "The node leaves: not ready any more, still serving."),
  "drain.closing": logRow("info", ["sessions", "drainSeconds"], "Sessions are closed now, at an even rate."),
  "drain.settle_failed": logRow("error", ["error"], "What was still to be written at the end was not: entries may be sent twice.", BROKER),
  "drain.finished": logRow("info", ["closed", "durationMs"], "Everybody was told to come back elsewhere."),
  "shed.asked": logRow("info", ["sessions", "perSecond"], "The operator asked to give sessions to other nodes."),
  "shed.started": logRow("info", ["sessions", "perSecond"], "Sessions are being told to come back elsewhere."),
  "shed.finished": logRow("info", ["closed", "wanted", "durationMs"], "Done; closed is below wanted when a later order replaced this one."),
} as const satisfies LogCatalogue;
