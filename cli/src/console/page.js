// Why: the console's entry: the two halves, and the configuration as it is now. It keeps nothing beyond the page.
import { at, fill, make, say } from "./dom.js";
import { choose, showTemplates, startSending } from "./send.js";
import { addChannel, clear, connect, disconnect, isOpen } from "./session.js";

const REFRESH_MS = 2000;
let known = "";

/** An edit of a file is seen here within two seconds. */
async function refresh() {
  const answer = await fetch("/console/state").catch(() => undefined);
  if (!answer?.ok) return;
  const text = await answer.text();
  if (text === known) return;
  known = text;
  const { cluster, tenants } = JSON.parse(text);
  at("cluster").textContent = cluster;
  fill(
    at("tenant"),
    tenants.map(({ id }) => [id, id]),
  );
  showTemplates(tenants);
  at("config").replaceChildren(
    ...(tenants.length > 0
      ? tenants.map(describe)
      : [make("p", { className: "quiet", textContent: "No tenant is loaded; the terminal says why." })]),
  );
}

function describe({ id, templates }) {
  const items = templates.map((template) => {
    const use = make("button", { type: "button", textContent: template.id, title: "Use it in the form" });
    use.addEventListener("click", () => {
      at("tenant").value = id;
      at("tenant").dispatchEvent(new Event("change"));
      choose(template.id);
    });
    return make("li", {}, use, make("span", { className: "quiet", textContent: template.event_type }));
  });
  const count = make("span", {
    className: "quiet",
    textContent: `${templates.length} ${templates.length === 1 ? "template" : "templates"}`,
  });
  return make("div", {}, make("h3", {}, id, count), make("ul", {}, ...items));
}

function start() {
  startSending();
  at("listen").addEventListener("submit", (event) => {
    event.preventDefault();
    say(at("alert"));
    if (isOpen()) disconnect();
    else connect(at("tenant").value, at("user").value.trim());
  });
  at("tenant").addEventListener("change", () => {
    showTemplates(JSON.parse(known).tenants);
    if (isOpen()) connect(at("tenant").value, at("user").value.trim());
  });
  at("subscribe").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = at("channel").value.trim();
    say(at("channel-error"), name === "" ? "Enter a channel's name." : "");
    if (name !== "") addChannel(name);
    at("channel").value = "";
  });
  at("clear").addEventListener("click", clear);
  void refresh();
  setInterval(refresh, REFRESH_MS);
  addEventListener("focus", refresh);
}

start();
