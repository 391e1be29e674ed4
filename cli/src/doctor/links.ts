// Why: what explain finds out about one object is a check of the doctor, in other words. Pure.
import type { Link } from "../explain/links.ts";
import { type Check, fail, ok, skip, warn } from "./check.ts";

export function checkOf({ object, state, says, todo, follows }: Link): Check {
  switch (state) {
    case "fine":
      return ok(object, says);
    case "broken":
      return fail(object, says, follows ? "it follows from what failed before it" : (todo ?? "read the words above"));
    case "note":
      return todo === undefined ? ok(object, says) : warn(object, says, todo);
    case "unseen":
      return skip(object, says);
    default:
      return state satisfies never;
  }
}
