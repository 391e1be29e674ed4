// Why: gives the listener to a page: the test calls it with orders and a function of its own.
import { listen } from "./listener.ts";

Object.assign(globalThis, { listenTo: listen });
