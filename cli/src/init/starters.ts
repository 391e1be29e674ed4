// Why: what `nexus init` writes is what the examples are, which tests apply and run, under the names the user wants; so that there
// is no second set of files to go stale. Comments are kept, because they are half of what a starter is for. Pure.
import productionCluster from "../../../examples/production/cluster.yaml" with { type: "text" };
import productionKustomization from "../../../examples/production/kustomization.yaml" with { type: "text" };
import productionNamespace from "../../../examples/production/namespace.yaml" with { type: "text" };
import productionTemplate from "../../../examples/production/template.yaml" with { type: "text" };
import productionTenant from "../../../examples/production/tenant.yaml" with { type: "text" };
import quickstartCluster from "../../../examples/quickstart/cluster.yaml" with { type: "text" };
import quickstartKustomization from "../../../examples/quickstart/kustomization.yaml" with { type: "text" };
import quickstartTemplate from "../../../examples/quickstart/template.yaml" with { type: "text" };
import quickstartTenant from "../../../examples/quickstart/tenant.yaml" with { type: "text" };

export const STARTERS = ["quickstart", "production"] as const;
export type Starter = (typeof STARTERS)[number];

/** Kubernetes names; `namespace` absent: the files name none (quickstart), or the example's (production). */
export type StarterNames = { readonly cluster: string; readonly tenant: string; readonly namespace: string | undefined };

type Files = Readonly<Record<string, string>>;

const FILES: Readonly<Record<Starter, Files>> = {
  quickstart: {
    "cluster.yaml": quickstartCluster,
    "tenant.yaml": quickstartTenant,
    "template.yaml": quickstartTemplate,
    "kustomization.yaml": quickstartKustomization,
  },
  production: {
    "namespace.yaml": productionNamespace,
    "cluster.yaml": productionCluster,
    "tenant.yaml": productionTenant,
    "template.yaml": productionTemplate,
    "kustomization.yaml": productionKustomization,
  },
};

/** The names in the examples themselves. */
export const EXAMPLE_NAMES: Readonly<Record<Starter, StarterNames>> = {
  quickstart: { cluster: "quickstart", tenant: "default", namespace: undefined },
  production: { cluster: "live", tenant: "acme", namespace: "nexus-production" },
};

/** As values of `name`, and as the start of the name of a Secret that belongs to it. */
const renamed = (text: string, from: string, to: string): string => text.replaceAll(new RegExp(`(?<=name: |Secret )${from}\\b`, "g"), to);

/** Text by file name. Who validates: the caller, that names are DNS labels. */
export function starterFiles(starter: Starter, names: StarterNames): Files {
  const example = EXAMPLE_NAMES[starter];
  const namespace = names.namespace ?? example.namespace;
  const written = Object.entries(FILES[starter]).map(([file, text]) => {
    const inPlace = example.namespace === undefined ? text : text.replaceAll(example.namespace, namespace ?? example.namespace);
    const placed =
      file === "kustomization.yaml" && example.namespace === undefined && namespace !== undefined
        ? inPlace.replace("resources:", `namespace: ${namespace}\nresources:`)
        : inPlace;
    // Through words no YAML holds: one new name may be the other's old one.
    const marked = renamed(renamed(placed, example.cluster, "\u0001"), example.tenant, "\u0002");
    return [file, marked.replaceAll("\u0001", names.cluster).replaceAll("\u0002", names.tenant)] as const;
  });
  return Object.fromEntries(written);
}
