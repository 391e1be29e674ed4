// Why: the Secrets that we write look alike, whoever fills them: name, labels, owner, type. Their content comes in as data. Pure.
import { BOOT_SECRET_KEY } from "@nexus/protocol/bundle.ts";
import { sha256 } from "@nexus/protocol/canonical.ts";
import { COMPILER_REVISION } from "./bundle.ts";
import { BUCKET_ANNOTATION, CHECKSUM_ANNOTATION, COMPILER_ANNOTATION, SCOPE_ANNOTATION } from "./names.ts";

type Owner = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
};

/** What a Secret of ours carries besides its content. */
type Head = {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ownerReferences: readonly Owner[];
};

/** `data`: values in base64. */
export const opaqueSecret = (
  { namespace, name, labels, ownerReferences }: Head,
  data: Readonly<Record<string, string>>,
  annotations?: Readonly<Record<string, string>>,
) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name, namespace, labels, ownerReferences, ...(annotations ? { annotations } : {}) },
  type: "Opaque",
  data,
});

/** A bucket of the boot copy: its digest, the scope that was watched when it was written, and its compressed bytes with their checksum. */
export const bootSecret = (
  head: Head,
  { digest, scope, data }: { readonly digest: string; readonly scope: string; readonly data: Uint8Array },
) => {
  const annotations = {
    [BUCKET_ANNOTATION]: digest,
    [SCOPE_ANNOTATION]: scope,
    [CHECKSUM_ANNOTATION]: sha256(data),
    [COMPILER_ANNOTATION]: COMPILER_REVISION,
  };
  return opaqueSecret(head, { [BOOT_SECRET_KEY]: Buffer.from(data).toString("base64") }, annotations);
};
