// Why: condition types and reasons are API that tools branch on; one closed list, from which the reference is written.
// A reason that is not here cannot be used: the type refuses it.
import { type Static, Type } from "@sinclair/typebox";

export const CONDITION_TYPES = {
  Ready: "The object does what its spec asks for.",
  Available: "At least one server pod takes traffic.",
  RedisReady: "The broker the spec asks for is there, or none is asked for.",
  ConfigSynced: "Every ready pod has the whole configuration and the boot copy is complete.",
  AutoscalingActive: "The scaler the spec asks for works, or none is asked for.",
  MonitoringReady: "The monitoring objects the spec asks for are there.",
  Accepted: "The reference is permitted and the id is free.",
  CredentialsReady: "Every Secret and key the spec names is there.",
  Synced: "Every pod that was ready acknowledged this generation.",
  Reconciling: "Only while True: work is under way.",
  Stalled: "Only while True: a change by a user is needed.",
  Paused: "Only while True: the annotation nexus.dev/paused stops reconciliation.",
  Drift:
    "Only while True: fields we do not render were added by others and are left alone, or (for ten minutes) that a rendered field was put back.",
} as const;
export type ConditionType = keyof typeof CONDITION_TYPES;

export const CONDITION_REASONS = {
  AllReplicasReady: "As many pods are ready as asked for.",
  ReplicasNotReady: "Fewer pods are ready than asked for.",
  ScaledToZero: "No pods are asked for.",
  NotObserved: "Not looked at yet.",
  Progressing: "Work is under way.",
  RolloutStuck: "A rollout made no progress within its deadline.",
  Reconciled: "Everything is as asked for.",
  AsExpected: "Nothing is wrong here.",
  NotRequested: "The spec does not ask for it.",
  NotSupported: "This version cannot do what a field asks for; the message names the field.",
  InvalidSpec: "A field says something that cannot be; the message names the field.",
  NameConflict: "Another object has the name or the id.",
  ReferenceNotPermitted: "The reference leads to nothing this object may refer to.",
  AccessRevoked: "The namespace may not attach any more; disabled at the time the message names, unless it is allowed again before.",
  PurgePending: "An earlier tenant with this id is being purged; this one is taken in when nothing of it is left.",
  ClusterNotReady: "The cluster this object belongs to is not ready.",
  TenantNotAccepted: "The tenant this object belongs to is not accepted.",
  SecretNotFound: "A Secret, or a key in it, is missing; the message names it.",
  SecretInvalid: "A Secret holds what cannot be used; the message says what is wrong.",
  CertificatePending: "The certificate of the public port is being issued.",
  CrdOutdated: "Only in events: the installed CRDs are older than the operator; the message names fields the API server drops.",
  KindNotServed: "The spec needs a kind that this cluster does not serve; the message names it.",
  KindsAbsent: "Auto has nothing to do here: the kinds it would make are not served by this cluster.",
  RouteNotAccepted: "A Gateway refuses the fleet's route; the message has its words.",
  CredentialsFound: "Every Secret and key is there.",
  Suspended: "The tenant is suspended.",
  PodsAcknowledged: "Every ready pod has this generation.",
  PodsNotAcknowledged: "A ready pod refused this generation or did not answer for 30 s.",
  PushPending: "Pods are being told.",
  NoReadyPods: "No pod is ready to be told.",
  BootCopyIncomplete: "The boot Secrets cannot hold everything; the rest is pushed only.",
  BootCopyPending: "The boot Secrets are being written.",
  ForeignFields: "Fields we do not render were added by others.",
  ScalingActive: "Somebody sets the size by the load, within the bounds of the spec.",
  ScalingLimited: "The load asks for a size beyond the bounds of the spec.",
  ScalerReports: "The scaler says that it cannot work; the message has its condition, reason and words.",
  MetricsUnavailable: "Too few pods say how loaded they are: the size may grow and does not shrink.",
  MovingToReplicas: "Autoscaling was removed; the size goes down to spec.replicas by steps.",
  RolloutPausedOnErrors: "Clients could not open sessions during a rollout; it goes on after two quiet minutes.",
  Scaled: "Of events: the operator set the size.",
  SessionsMoved: "Of events: full pods were asked to send sessions to emptier ones.",
  FieldsPutBack: "Fields we render were changed by others in the last ten minutes and were put back; the message names field and writer.",
  FieldContested: "Another controller keeps writing a field we render; tried again in 10 minutes.",
  PausedByAnnotation: "The annotation nexus.dev/paused is true.",
  Connecting: "The broker is starting, or no server has said yet whether it reaches it.",
  RedisUnavailable: "Servers do not reach the broker; the message has their words.",
  Available: "It is there, and every server reaches it.",
  VolumeNotResized: "The volume cannot become what the spec asks for; the message says why.",
  TermsWentBack: "An event: pods had heard a later leader than there can be; etcd was restored, and they were told to start anew.",
  ApiError: "The API server refused a request; the message has its words.",
} as const;
export type ConditionReason = keyof typeof CONDITION_REASONS;

export const Condition = Type.Object(
  {
    type: Type.Unsafe<ConditionType>({ type: "string", maxLength: 316, description: "What is judged." }),
    status: Type.Unsafe<"True" | "False" | "Unknown">({ type: "string", enum: ["True", "False", "Unknown"], description: "The verdict." }),
    observedGeneration: Type.Integer({ format: "int64", minimum: 0, description: "The generation this verdict is about." }),
    lastTransitionTime: Type.String({ format: "date-time", description: "When status changed last." }),
    reason: Type.Unsafe<ConditionReason>({
      type: "string",
      minLength: 1,
      maxLength: 1024,
      description: "Why, as one word of a closed list.",
    }),
    message: Type.String({ maxLength: 32768, description: "Why, for people." }),
  },
  { description: "One aspect of the object's state." },
);
export type Condition = Static<typeof Condition>;

/**
 * The status of an object nobody has looked at. Filled in by the API server, because tools that wait (Flux, by kstatus) take an
 * object without a status for one that is done.
 */
export const NOT_SEEN = { observedGeneration: 0 } as const;

/** Why an object is not part of the configuration: a reason, and a sentence for people. */
export type Refused = { readonly reason: ConditionReason; readonly message: string };
