// Why: tenants on one node, over the memory engine.
import { isolationSuite } from "../../contract/isolation.ts";

isolationSuite("memory", async () => ({}));
