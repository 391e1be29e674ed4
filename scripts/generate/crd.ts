// Why: CRDs are written from the schemas everyone compiles against. Pure: schema in, YAML out; what Kubernetes would not
// take (a default that is also required, an unsupported keyword) is translated here and nowhere else.
import type { TSchema } from "@sinclair/typebox";
import { stringify } from "yaml";
import { CATEGORY, GROUP, KINDS, type Kind, VERSION } from "../../protocol/resources/names.ts";
import { type CelRule, rulesAt } from "../../protocol/resources/rules.ts";
import { SCHEMAS } from "../../protocol/resources/schema.ts";

const HEADER = "# Generated from protocol/resources by `npm run generate`. Do not edit.\n";

/** Keywords that travel as they are, in the order they are written. */
const KEYWORDS = [
  "description",
  "type",
  "format",
  "enum",
  "default",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "pattern",
  "maxItems",
  "maxProperties",
  "x-kubernetes-int-or-string",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-map-type",
] as const;

type Structural = Record<string, unknown>;

/** A rule as Kubernetes takes it; its predicate stays here. */
const cel = ({ rule, message, fieldPath }: CelRule): Structural => ({ rule, message, ...(fieldPath === undefined ? {} : { fieldPath }) });

/** A structural schema (apiextensions.k8s.io/v1) of a TypeBox schema. A field with a default is never required. */
export function structural(schema: TSchema): Structural {
  const out: Structural = {};
  for (const keyword of KEYWORDS) if (schema[keyword] !== undefined) out[keyword] = schema[keyword];
  const rules = rulesAt(schema);
  if (rules.length > 0) out["x-kubernetes-validations"] = rules.map(cel);
  if (schema["x-kubernetes-int-or-string"]) out.anyOf = schema.anyOf;
  if (schema.items) out.items = structural(schema.items);
  if (typeof schema.additionalProperties === "object") out.additionalProperties = structural(schema.additionalProperties);
  const properties: Readonly<Record<string, TSchema>> | undefined = schema.properties;
  if (properties) {
    out.properties = Object.fromEntries(Object.entries(properties).map(([name, field]) => [name, structural(field)]));
    const declared: readonly string[] = schema.required ?? [];
    const required = declared.filter((name) => properties[name]?.default === undefined);
    if (required.length > 0) out.required = required;
  }
  return out;
}

const column = (name: string, jsonPath: string, type = "string", priority = 0) => ({
  name,
  type,
  jsonPath,
  ...(priority ? { priority } : {}),
});
const condition = (type: string, field: string) => `.status.conditions[?(@.type=="${type}")].${field}`;
const READY = [column("Ready", condition("Ready", "status")), column("Reason", condition("Ready", "reason"))];
const TAIL = [column("Age", ".metadata.creationTimestamp", "date"), column("Message", condition("Ready", "message"), "string", 1)];

const COLUMNS: Readonly<Record<Kind, readonly object[]>> = {
  NexusCluster: [
    ...READY,
    column("Replicas", ".status.readyReplicas", "integer"),
    column("Connections", ".status.connections", "integer"),
    ...TAIL,
  ],
  Tenant: [...READY, column("Tenant", ".status.tenantId"), ...TAIL],
  Template: [...READY, column("Template", ".status.templateId"), ...TAIL],
};

const SCALE = { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas", labelSelectorPath: ".status.selector" };

/** The CustomResourceDefinition of a kind, as an object. */
export function crd(kind: Kind): object {
  const { plural, singular, shortName } = KINDS[kind];
  const { spec, status, rules, description } = SCHEMAS[kind];
  const openAPIV3Schema = {
    description,
    type: "object",
    required: ["spec"],
    ...(rules.length > 0 ? { "x-kubernetes-validations": rules.map(cel) } : {}),
    properties: {
      apiVersion: { type: "string", description: "Version of this representation." },
      kind: { type: "string", description: "What this object is." },
      metadata: { type: "object" },
      spec: structural(spec),
      status: structural(status),
    },
  };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: "Namespaced",
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames: [shortName], categories: [CATEGORY] },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {}, ...(kind === "NexusCluster" ? { scale: SCALE } : {}) },
          additionalPrinterColumns: COLUMNS[kind],
          schema: { openAPIV3Schema },
        },
      ],
    },
  };
}

/** `crds/<group>_<plural>.yaml`; strings that YAML 1.1 reads as something else are quoted. */
export const crdYaml = (kind: Kind): string =>
  `${HEADER}---\n${stringify(crd(kind), { lineWidth: 0, version: "1.1", aliasDuplicateObjects: false, singleQuote: false })}`;
