// Why: the listening half of the console: one client of the SDK at a time, and everything it tells made visible.
import { NexusClient } from "../../../client/src/client.ts";
import { ask, at, clock, make, prepend, say } from "./dom.js";

const MOST_NOTIFICATIONS = 100;
const MOST_FRAMES = 200;
const REASONS = {
  not_kept: "it keeps no history",
  not_resumed: "it started fresh",
  window_exceeded: "more was sent than it keeps",
  epoch_changed: "the server lost its history",
  unverifiable: "the server cannot tell",
};
const WORDS = { connecting: "Connecting…", connected: "Connected", closed: "Closed" };

let client;
let received = 0;

export const isOpen = () => client !== undefined && client.state !== "closed";

/** A token of the moment, from the process that knows the secret. */
async function tokenOf(tenant, user) {
  const answer = await ask("/console/token", { method: "POST", body: JSON.stringify({ tenant, user }) });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.message);
  return body.token;
}

export function connect(tenant, user) {
  disconnect();
  const mine = new NexusClient({ url: location.origin, token: () => tokenOf(tenant, user) });
  client = mine;
  const listen = (name, run) => mine.on(name, (event) => client === mine && run(event));
  listen("state", showState);
  listen("connected", ({ connection_id: id, user_id: name }) => say(at("session"), `${name}, session ${id.slice(0, 8)}…`));
  listen("notification", showNotification);
  listen("frame", ({ direction, frame }) => showFrame(direction, frame));
  listen("gap", showGap);
  listen("subscribed", showPlace);
  listen("unsubscribed", ({ channel, error }) => lose(channel, error.message));
  listen("shutdown", ({ reconnectAfterSeconds: seconds }) => note(`the server goes away; back in ${seconds} s`));
  listen("error", ({ code, message, cause }) =>
    say(at("alert"), code === "TOKEN_PROVIDER" && cause ? cause.message : `${code}: ${message}`),
  );
  for (const { dataset } of [...at("channels").children]) join(dataset.name);
  mine.connect().catch(() => undefined); // showState has said why
}

export function disconnect() {
  client?.close();
  client = undefined;
  showState({ state: "disconnected" });
}

/** Adds a channel to the list, and subscribes it where there is a connection. */
export function addChannel(name) {
  if (chipOf(name)) return;
  const remove = make("button", { type: "button", textContent: "×", ariaLabel: `Unsubscribe ${name}` });
  const chip = make("li", { className: "waiting" }, name, remove);
  chip.dataset.name = name;
  remove.addEventListener("click", () => {
    chip.remove();
    client?.unsubscribe(name).catch((error) => say(at("channel-error"), error.message));
    at("channel").focus();
  });
  at("channels").append(chip);
  if (isOpen()) join(name);
}

function join(name) {
  chipOf(name)?.classList.add("waiting");
  client
    .subscribe(name, () => undefined)
    .then(
      () => {
        chipOf(name)?.classList.remove("waiting");
        say(at("channel-error"));
      },
      (error) => {
        if (error.code !== "CLOSED") lose(name, error.message);
      },
    );
}

const chipOf = (name) => [...at("channels").children].find(({ dataset }) => dataset.name === name);

function lose(name, why) {
  chipOf(name)?.remove();
  say(at("channel-error"), `${name}: ${why}`);
}

/** Whether what is missed on a channel can be had afterwards, and from where on. */
function showPlace({ channel, state }) {
  const chip = chipOf(channel);
  if (!chip) return;
  chip.classList.remove("waiting");
  chip.title =
    state && state.epoch !== "0" ? `Keeps history: ${state.outcome}, from offset ${state.offset}` : "Live only: it keeps no history";
}

/** A hole among the notifications, where the reader looks. */
function showGap({ stream, reason }) {
  const text = `Notifications may be missing on ${stream}: ${REASONS[reason] ?? reason}`;
  prepend(at("notifications"), make("li", { className: "gap", textContent: text }), MOST_NOTIFICATIONS);
  at("empty").hidden = true;
  note(`gap on ${stream}: ${reason}`);
}

function showState({ state, reason, retryInMs }) {
  const pill = at("state");
  const isWaiting = state === "disconnected" && retryInMs !== undefined;
  pill.dataset.state = isWaiting ? "waiting" : state;
  pill.textContent = isWaiting ? `Reconnecting in ${Math.max(1, Math.round(retryInMs / 1000))} s` : (WORDS[state] ?? "Not connected");
  at("connect").textContent = isOpen() ? "Disconnect" : "Connect";
  if (state !== "connected") {
    say(at("session"));
    for (const chip of at("channels").children) chip.classList.add("waiting");
  }
  if (state === "connected") say(at("alert"));
  if (state === "closed") say(at("alert"), `The session ended: ${reason}`);
  if (reason && state !== "closed") note(reason);
}

function showNotification({ id, event_type: type, payload, metadata, stream, occurred_at: when, offset }) {
  const facts = make(
    "div",
    { className: "facts" },
    make("h3", { textContent: type }),
    make("span", { className: "tag", textContent: stream }),
    make("span", { className: `tag ${metadata.priority}`, textContent: metadata.priority }),
    make("time", { className: "quiet", dateTime: when, textContent: clock(new Date(when)) }),
  );
  const more = `${metadata.source}${offset === undefined ? "" : `, offset ${offset}`}, ${id}`;
  const item = make("li", { title: more }, facts, make("pre", { textContent: JSON.stringify(payload, undefined, 2) }));
  prepend(at("notifications"), item, MOST_NOTIFICATIONS);
  at("count").textContent = String(++received);
  at("empty").hidden = true;
}

export function clear() {
  at("notifications").replaceChildren();
  at("empty").hidden = false;
  received = 0;
  at("count").textContent = "0";
}

function showFrame(direction, frame) {
  const arrow = make("span", {
    className: direction,
    textContent: direction === "in" ? "←" : "→",
    ariaLabel: direction === "in" ? "received" : "sent",
  });
  line(arrow, make("code", { textContent: JSON.stringify(frame) }));
}

const note = (text) => line(make("span", { className: "note", textContent: "!" }), make("code", { className: "note", textContent: text }));
const line = (mark, text) => prepend(at("frames"), make("li", {}, make("time", { textContent: clock() }), mark, text), MOST_FRAMES);
