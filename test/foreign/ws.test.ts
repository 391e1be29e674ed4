// Why: the library that most WebSocket clients outside a browser are built on, under Node, where Bun's replacement for it
// has no say.
import { expect, test } from "bun:test";
import { startProgram } from "./support/program.ts";
import { websocketSuite } from "./support/websocket-suite.ts";

const can = { sendsHeaders: true, seesStatus: true, needsItsOfferTaken: true, isLibrary: true };
const program = new URL("./programs/ws.mjs", import.meta.url).pathname;
const node = Bun.which("node");

test("Node is there: the repository's own commands start with it", () => {
  expect(node).not.toBeNull();
});
if (node) websocketSuite("ws on Node", can, async () => startProgram([node, program]));
