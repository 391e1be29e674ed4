// Why: rules and dashboards are a hundred kilobytes a fleet, and only whether they are as rendered matters. What a watch keeps of
// them is a digest of their content; who finds it different reads the object itself. It must never be applied.
import { digestOf } from "@nexus/protocol/canonical.ts";
import { DASHBOARD_LABEL } from "../desired/names.ts";
import { compare } from "../plan/compare.ts";
import type { KubeObject, Manifest } from "../plan/object.ts";

/** Whether a watch keeps only the head and the digest of objects like this one. */
export const isLean = ({ kind, metadata }: KubeObject): boolean =>
  kind === "PrometheusRule" || (kind === "ConfigMap" && metadata.labels?.[DASHBOARD_LABEL] !== undefined);

/** The head of an object, and its content without status as a digest; who owns which field is left out. The same when it is lean already. */
export function lean(object: KubeObject): Manifest {
  const { apiVersion, kind, metadata, status: _status, contentDigest, ...content } = object as Manifest;
  const { managedFields: _managed, ...head } = metadata;
  return { apiVersion, kind, metadata: head, contentDigest: contentDigest ?? digestOf(content) };
}

/** Whether a live object, lean or whole, is as rendered. False may also mean that others added to it: then it has to be read. */
export const isAsRendered = (rendered: KubeObject, live: KubeObject): boolean =>
  live.metadata.deletionTimestamp === undefined && compare(lean(rendered), lean(live), "").differences.length === 0;
