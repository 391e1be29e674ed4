// Why: the settings that a custom resource, the bundle and a server process share, declared once: same names, defaults,
// bounds and units everywhere. It must never hold anything that only one of the three knows.
import { type SchemaOptions, type Static, Type } from "@sinclair/typebox";

const LIVE = "Takes effect live.";
const ROLLS = "Rolls pods.";
const int = (fallback: number, minimum: number, maximum: number, text: string, effect = LIVE) =>
  Type.Integer({ format: "int32", default: fallback, minimum, maximum, description: `${text} ${effect}` });
const optionalInt = (minimum: number, maximum: number, text: string) =>
  Type.Optional(Type.Integer({ format: "int32", minimum, maximum, description: `${text} ${LIVE}` }));
const choice = <const T extends readonly string[]>(values: T, fallback: T[number], text: string) =>
  Type.Unsafe<T[number]>({ type: "string", enum: [...values], default: fallback, description: `${text} ${LIVE}` });
const described = (description: string): SchemaOptions => ({ description, default: {} });
const MAX = 2147483647;

/** What one server process accepts at the most. */
export const Limits = Type.Object(
  {
    connectionsPerPod: int(10000, 1, 1000000, "Sessions one pod holds; further ones get 503."),
    frameBytes: int(65536, 1024, 16777216, "Largest frame a client may send, in bytes."),
    bodyBytes: int(65536, 1024, 16777216, "Largest request body, in bytes."),
    batchBytes: int(1048576, 1024, 67108864, "Largest body of a batch request, in bytes."),
    sendQueueBytes: int(
      1048576,
      16384,
      67108864,
      "What may wait for one session before the channel's slowConsumer rule applies, in bytes.",
    ),
    framesPerSecond: int(
      50,
      0,
      100000,
      "Frames one session may send a second; one as large as frameBytes counts 16 times. Above it the socket is paused. 0: no limit.",
    ),
    requestsPerSecond: int(100, 0, 1000000, "Requests one API key, or one address without a key, may make a second. 0: no limit."),
    requestBurst: int(200, 1, 1000000, "Requests one API key, or one address without a key, may make at once."),
    upgradesPerMinutePerAddress: int(
      10,
      0,
      1000000,
      "Connection attempts one address (of IPv6: one /64) may make in any minute. 0: no limit.",
    ),
    jwksPrivateNetworks: Type.Boolean({ default: false, description: `Whether a jwksURL may be at a private address. ${LIVE}` }),
  },
  described(`What one server pod accepts at the most. ${LIVE}`),
);
export type Limits = Static<typeof Limits>;

/** How sessions are kept and ended. */
export const Delivery = Type.Object(
  {
    heartbeatSeconds: int(30, 1, 3600, "How often an idle session gets a heartbeat, in seconds."),
    staleSeconds: int(120, 2, 960, "A session that answered nothing for this long is closed, in seconds."),
    ackTimeoutSeconds: int(
      30,
      1,
      86400,
      "A notification that was not acknowledged for this long counts as expired in the statistics, in seconds.",
    ),
    drainSeconds: int(30, 5, 600, "Over how long a stopping pod closes its sessions, in seconds.", ROLLS),
    reconnectJitterSeconds: int(10, 0, 600, "Clients told to reconnect are spread over this long, in seconds."),
  },
  described(`How sessions are kept and ended. ${LIVE}`),
);
export type Delivery = Static<typeof Delivery>;

/** One rule for the channels whose name matches; rules are ordered and the first match wins. */
export const ChannelRule = Type.Object({
  match: Type.String({
    minLength: 1,
    maxLength: 256,
    pattern: "^(@broadcast|[^*@\\s]+|[^*@\\s]*\\*)$",
    description: `Channel name, or a prefix followed by "*" (orders.*). "@broadcast" is the tenant's broadcast. ${LIVE}`,
  }),
  history: Type.Object(
    {
      size: int(0, 0, 10000, "Entries kept for resume. 0: live only."),
      ttlSeconds: int(300, 1, MAX, "How long entries are kept, in seconds."),
    },
    described(`What the channel keeps for those who come back. ${LIVE}`),
  ),
  slowConsumer: choice(
    ["Disconnect", "DropOldest", "LatestOnly"],
    "Disconnect",
    "What happens when a session's queue is full: close it with a code that asks to reconnect, drop its oldest entries (low priority first), or keep only the latest.",
  ),
  subscribe: choice(["Anyone", "Claim"], "Anyone", "Who may subscribe: any user of the tenant, or one whose token names the channel."),
  publish: choice(["Nobody", "Claim"], "Nobody", "Who may publish from a socket: nobody, or a user whose token names the channel."),
});
export type ChannelRule = Static<typeof ChannelRule>;

/** What one tenant may use. Absent members have no limit of their own. */
export const TenantQuotas = Type.Object(
  {
    connections: optionalInt(1, MAX, "Sessions of the whole tenant, in the whole cluster."),
    connectionsPerUser: int(5, 1, 10000, "Sessions of one user, in the whole cluster."),
    subscriptionsPerConnection: int(50, 1, 10000, "Channels one session may hold."),
    publishPerSecond: optionalInt(1, MAX, "Notifications the tenant may publish a second."),
    publishBurst: optionalInt(1, MAX, "Notifications the tenant may publish at once."),
    payloadBytes: int(65536, 256, 16777216, "Largest payload of one notification, in bytes of JSON."),
    templates: int(1000, 0, 1000000, "Templates the tenant may have."),
    inbox: Type.Object(
      {
        mode: choice(
          ["Delivered", "Acked"],
          "Delivered",
          "When an entry counts as received: once it was written to one of the user's sessions, or once a client acknowledged it.",
        ),
        messages: int(100, 0, 100000, "Entries kept for each user."),
        ttlSeconds: int(3600, 1, MAX, "How long entries are kept, in seconds."),
      },
      described(`What is kept for users who are away. ${LIVE}`),
    ),
  },
  described(`What the tenant may use. ${LIVE}`),
);
export type TenantQuotas = Static<typeof TenantQuotas>;
