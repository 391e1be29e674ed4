// Why: an attack in a process of its own, so that what it costs the attacker does not show in what is measured.
// Arguments: name of the attack, address of the server, secret of its issuer. It runs until it is told to stop.
import { ATTACKS } from "../load/attacks.ts";

const [name = "", url = "", secret = ""] = process.argv.slice(2);
const attack = ATTACKS[name];
if (!attack) throw new Error(`no attack "${name}"`);
attack({ url, secret });
process.on("SIGTERM", () => process.exit(0));
process.stdout.write("{}\n");
