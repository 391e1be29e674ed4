// Why: runs the listener in Node: orders are the one argument, what it hears goes to its output.
import { listen, type Orders } from "./listener.ts";

const orders = JSON.parse(process.argv[2] ?? "{}") as Orders; // the test wrote it
await listen(orders, (told) => process.stdout.write(`${JSON.stringify(told)}\n`));
