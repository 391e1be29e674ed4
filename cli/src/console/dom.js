// Why: the few things the console does to a page, by name. Text only ever becomes text: nothing from the network is markup.
// Plain JavaScript on purpose: the repository's type check knows no browser.

/** The element with this id. */
export const at = (id) => document.getElementById(id);

/** `make("li", { className: "x" }, "text", node…)` */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

export const clock = (date = new Date()) => `${date.toLocaleTimeString("en-GB")}.${String(date.getMilliseconds()).padStart(3, "0")}`;

/** fetch, whose failure says what a reader can do about it: browsers only say "Failed to fetch". */
export const ask = (path, init) =>
  fetch(path, init).catch((cause) => {
    throw new Error("Nexus does not answer; is it still running in its terminal?", { cause });
  });

/** Shows text in an element that is hidden while there is none. */
export function say(element, text = "") {
  element.textContent = text;
  element.hidden = text === "";
}

/** Keeps the newest `most` children. */
export function prepend(list, item, most) {
  list.prepend(item);
  while (list.children.length > most) list.lastElementChild.remove();
}

/** Fills a select, and keeps the choice where it is still there. */
export function fill(select, values, chosen = select.value) {
  select.replaceChildren(...values.map(([value, text]) => make("option", { value, textContent: text })));
  if (values.some(([value]) => value === chosen)) select.value = chosen;
}
