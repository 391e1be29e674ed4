// Why: every line a server can write is a row here: a new event without meaning and advice does not compile, and
// docs/reference/logs.md is written from this. It must never have two names for one thing.
import { CONFIG_EVENTS } from "./log-events/configuration.ts";
import { DOOR_EVENTS } from "./log-events/doors.ts";
import { REDIS_EVENTS } from "./log-events/redis.ts";
import { SESSION_EVENTS } from "./log-events/sessions.ts";
import { STORE_EVENTS } from "./log-events/stores.ts";

export const SERVER_EVENTS = { ...SESSION_EVENTS, ...CONFIG_EVENTS, ...DOOR_EVENTS, ...REDIS_EVENTS, ...STORE_EVENTS };

export type LogEvents = typeof SERVER_EVENTS;
