// Why: a reason says what is wrong; this says what to do about it. One sentence a reason, keyed by the closed list, so that no
// reason can be added without its advice.
import type { ConditionReason } from "@nexus/protocol/resources/conditions.ts";

/** What to do; empty where nothing has to be done. A test fails when a reason is missing. */
export const ADVICE: Readonly<Partial<Record<ConditionReason, string>>> = {
  AllReplicasReady: "",
  ReplicasNotReady: "Look at the pods that are not ready: their state and events are named above.",
  ScaledToZero: "Raise spec.replicas of the NexusCluster: at zero nobody can connect.",
  NotObserved: "Wait a moment; when it stays, the operator is not running or does not watch this namespace.",
  Progressing: "Wait: work is under way.",
  RolloutStuck:
    "New pods do not become ready: look at the pods named above, then correct spec.image or spec.pods, or set back what was changed.",
  Reconciled: "",
  AsExpected: "",
  NotRequested: "",
  NotSupported: "Remove the field the message names, or upgrade the operator to a version that has it.",
  InvalidSpec: "Correct the field the message names; nexus validate says the same before anything is applied.",
  NameConflict: "Rename this object or its id, or remove the other one: the older one keeps the name.",
  ReferenceNotPermitted:
    "Create the object the reference names, or have its owner allow this namespace in spec.allowedNamespaces; a reference itself cannot be changed, only made anew.",
  AccessRevoked:
    "Have the owner allow this namespace again in spec.allowedNamespaces before the time the message names, or move the object.",
  PurgePending: "Wait: data of an earlier tenant with this id are being deleted.",
  ClusterNotReady: "Mend the NexusCluster first.",
  TenantNotAccepted: "Mend the Tenant first.",
  SecretNotFound: "Create the Secret, or the key in it, that the message names, in the namespace of this object.",
  SecretInvalid: "Put content into the Secret that serves as the message says.",
  CertificatePending: "Wait for cert-manager; when it stays, look at the Certificate and its issuer.",
  CrdOutdated: "Apply the CRDs of the operator's release: until then the API server drops the fields the message names.",
  KindNotServed: "Install what serves the kind the message names, or remove the field that asks for it.",
  KindsAbsent: "Nothing has to be done; install prometheus-operator when Prometheus is to find the servers by itself.",
  RouteNotAccepted: "Correct spec.exposure.gateway, or the listener of the Gateway, as the message says.",
  CredentialsFound: "",
  Suspended: "Set spec.suspended to false when the tenant may be served again.",
  PodsAcknowledged: "",
  PodsNotAcknowledged:
    "A pod cannot be told: look at the pod the message names, at NetworkPolicies between operator and port 9091, and at the log of the operator.",
  PushPending: "Wait: pods are being told; it takes seconds.",
  NoReadyPods: "Get a server pod ready first: there is nobody to tell.",
  BootCopyIncomplete: "New pods wait for a push from the operator until there are fewer or smaller Templates; nothing is lost meanwhile.",
  Connecting: "Wait a moment; when it stays, look at the broker's pod, or at the addresses in spec.redis.external.",
  RedisUnavailable:
    "Look at the broker and its NetworkPolicy, and whether address, password and certificates in spec.redis fit. A Secret that was corrected is with the pods within three minutes.",
  Available: "",
  VolumeNotResized: "Use a StorageClass with allowVolumeExpansion, or set spec.redis.managed.storage.size back: a volume can only grow.",
  ScalingActive: "",
  ScalingLimited: "Raise spec.autoscaling.maxReplicas when the load is to be served, or lower minReplicas when it costs too much.",
  ScalerReports:
    "Do what the scaler's words ask for: most often metrics-server or Prometheus is missing, or spec.pods.resources has no requests.",
  MetricsUnavailable: "Wait; when it stays, look at the pods that do not answer the operator on port 9091.",
  MovingToReplicas: "Wait: the size goes down by steps, so that sessions move gently.",
  RolloutPausedOnErrors:
    "Find out why clients cannot open sessions on the new pods (their log says it), and set back what was changed if it is that.",
  Scaled: "",
  SessionsMoved: "",
  BootCopyPending: "Wait: the copy for new pods is being written.",
  ForeignFields: "Nothing has to be done; whoever added the fields can remove them.",
  FieldsPutBack: "Nothing has to be done; to change such a field, change the spec, and stop whoever edits the child.",
  TermsWentBack: "Nothing has to be done; compare what the cluster holds with Git, because etcd was restored from a backup.",
  FieldContested: "Find the controller that keeps writing the field the message names, and stop it or its rule for this object.",
  PausedByAnnotation: "Remove the annotation nexus.dev/paused when changes may be carried out again.",
  ApiError: "Read the API server's words in the message: most often a quota, an admission rule or a right that the operator lacks.",
};
