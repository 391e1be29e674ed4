// Why: objects as YAML that any reader of 1.1 or 1.2 takes for the same thing: what could be read as something else is quoted.
// Same objects, same bytes.
import { stringify } from "yaml";

/** Documents with `---` between them; keys in the order of the objects, nothing folded. */
export const writeYaml = (objects: readonly object[]): string =>
  objects.map((object) => stringify(object, { version: "1.1", lineWidth: 0, aliasDuplicateObjects: false })).join("---\n");
