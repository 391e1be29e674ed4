// Why: the sending half of the console: what a backend would do over REST, as a form. Its refusals are the server's words.
import { ask, at, fill, make, say } from "./dom.js";

let tenants = [];
const tenant = () => tenants.find(({ id }) => id === at("tenant").value);
const template = () => tenant()?.templates.find(({ id }) => id === at("template").value);
const chosen = (name) => new FormData(at("send")).get(name);

/** Shows the templates of the chosen tenant; called whenever the configuration or the choice changed. */
export function showTemplates(all) {
  tenants = all;
  fill(
    at("template"),
    (tenant()?.templates ?? []).map(({ id }) => [id, id]),
  );
  showTemplate();
}

export function choose(id) {
  document.querySelector("input[name=content][value=template]").checked = true;
  at("template").value = id;
  showContent();
  showTemplate();
  at("template").focus();
}

let shown = "";
function showTemplate() {
  const one = template();
  const now = JSON.stringify(one ?? null);
  if (now === shown) return; // what was typed stays
  shown = now;
  fill(at("locale"), [["", "Default"], ...(one?.locales ?? []).map((tag) => [tag, tag])]);
  const typed = new Map([...at("variables").querySelectorAll("input")].map(({ name, value }) => [name, value]));
  at("variables").replaceChildren(...(one?.variables ?? []).map((variable) => row(variable, one.example, typed)));
}

function row({ name, type, required, default: fallback }, example, typed) {
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const input = make("input", {
    name,
    autocomplete: "off",
    spellcheck: false,
    value: typed.get(name) ?? (name in example ? text(example[name]) : ""),
  });
  if (fallback !== undefined) input.placeholder = text(fallback);
  input.dataset.type = type;
  input.required = required && type === "string";
  return make("label", {}, make("span", {}, name, make("em", { textContent: ` ${type}${required ? ", required" : ""}` })), input);
}

function showContent() {
  const isTemplate = chosen("content") === "template";
  at("by-template").hidden = !isTemplate;
  at("by-content").hidden = isTemplate;
}

function showTarget() {
  const target = chosen("target");
  at("target-row").hidden = target === "broadcast";
  say(at("target-label"), target === "channel" ? "Channel" : "User");
  if (target === "user") at("target-name").value = at("user").value;
  if (target === "channel") at("target-name").value = at("channels").firstElementChild?.dataset.name ?? "";
}

/** Declared as text it is text; everything else is JSON, and nothing is "not given". */
function variables() {
  const inputs = [...at("variables").querySelectorAll("input")];
  return Object.fromEntries(
    inputs.flatMap((input) =>
      input.value === "" && !input.required ? [] : [[input.name, input.dataset.type === "string" ? input.value : json(input)]],
    ),
  );
}

function json(input) {
  try {
    input.removeAttribute("aria-invalid");
    return JSON.parse(input.value);
  } catch (cause) {
    if (input.dataset.type === "any") return input.value;
    input.setAttribute("aria-invalid", "true");
    input.focus();
    throw new Error(`${input.name || "The payload"} is not JSON: ${whyNot(input.value, cause)}`, { cause });
  }
}

/** Who typed a bare word wants to know about quotes; who opened a brace, where it broke. */
const whyNot = (text, cause) => (/^\s*["[{]/.test(text) ? cause.message : "text needs quotes");

function request() {
  const [target, name, priority, locale] = [chosen("target"), at("target-name").value, at("priority").value, at("locale").value];
  const content =
    chosen("content") === "template"
      ? { template_id: at("template").value, variables: variables(), ...(locale ? { locale } : {}) }
      : { event_type: at("event-type").value, payload: json(at("payload")) };
  const to = { user: { target_user_id: name }, channel: { channel: name }, broadcast: {} }[target];
  return { operation: target === "user" ? "send" : target, body: { ...to, ...content, ...(priority ? { priority } : {}) } };
}

async function send() {
  const { operation, body } = request();
  const answer = await ask(`/api/v1/notifications/${operation}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": tenant()?.api_key ?? "" },
    body: JSON.stringify(body),
  });
  const result = await answer.json();
  if (!answer.ok) throw new Error(refusal(answer.status, result));
  const { delivered_to: count, queued } = result;
  if (count > 0) return ["good", `Delivered to ${count} ${count === 1 ? "session" : "sessions"}`];
  return ["soso", queued ? "Nobody is connected: kept in the inbox" : "Nobody is listening"];
}

function refusal(status, { detail, title, errors = [] }) {
  const fields = errors.map((one) => `${one.pointer}: ${one.detail}`).join("; ");
  return `${status} ${detail ?? title}${fields ? ` (${fields})` : ""}`;
}

export function startSending() {
  at("send").addEventListener("change", ({ target }) => {
    if (target.name === "content") showContent();
    if (target.name === "target") showTarget();
  });
  at("template").addEventListener("change", showTemplate);
  at("send").addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter ?? at("send").querySelector("button");
    button.disabled = true;
    const outcome = await send().catch((error) => ["bad", error.message]);
    [at("result").className, at("result").textContent] = outcome;
    button.disabled = false;
  });
}
