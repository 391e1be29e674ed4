// Why: Python backends listen with `websockets`. Where there is no Python this says so and runs nothing.
import { describe } from "bun:test";
import { pythonWith } from "../../scripts/host/python.ts";
import { startProgram } from "./support/program.ts";
import { websocketSuite } from "./support/websocket-suite.ts";

const home = await pythonWith(["websockets"]);
if (!home.ok) process.stderr.write(`skipped: websockets in Python: ${home.reason}\n`);

const can = { sendsHeaders: true, seesStatus: true, needsItsOfferTaken: false, isLibrary: true };
const program = new URL("./programs/websockets_client.py", import.meta.url).pathname;

describe.skipIf(!home.ok)("Python", () => {
  websocketSuite("websockets", can, async () => startProgram([home.ok ? home.python : "", "-B", program]));
});
