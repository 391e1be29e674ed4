// Why: one server process as core sees it: a publisher, the sessions, and the beat that keeps both going.
// It must never open a port.

import type { FailureCode, Refusal } from "@nexus/protocol/failures.ts";
import type { Tracer } from "@nexus/tracing/tracer.ts";
import { type AdmissionDeps, admit, type Candidate } from "./admission.ts";
import type { Defer } from "./defer.ts";
import type { Engine } from "./engine.ts";
import { codeOf, isOurFault } from "./fault.ts";
import type { DisconnectRequest } from "./fleet-ports.ts";
import type { Clock, Identity, Ids, Log, Metrics, Tenants, TokenVerifier, Transport } from "./ports.ts";
import { createPublisher, type Publisher } from "./publish.ts";
import type { Session } from "./session.ts";
import { Sessions } from "./sessions.ts";
import { createTemplateLookup } from "./template-lookup.ts";
import { type Traffic, TrafficMeter } from "./traffic.ts";

/** How often heartbeats, silence and paced senders are looked after, in milliseconds. */
export const BEAT_MS = 250;

export type NodeDeps = {
  readonly tenants: Tenants;
  readonly engine: Engine;
  readonly verifier: TokenVerifier;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly defer: Defer;
  readonly gatherWindowMs?: number;
  readonly tracer?: Tracer | undefined;
};

export type NexusNode = {
  readonly publisher: Publisher;
  readonly sessions: Sessions;
  /**
   * Somebody asks for a session. Call what comes back once: with the code it was refused with, or with undefined when there is
   * a connection; what becomes of that the sessions count.
   */
  attempt(transport: Transport): (refused: FailureCode | undefined) => void;
  /** Whether a session may be opened; see `admit`. */
  admit(candidate: Candidate): Promise<{ readonly identity: Identity } | Refusal>;
  /** From now on no session is opened (503). Those that are open stay until `sessions.shutdown`. */
  refuseSessions(): void;
  isDraining(): boolean;
  /** What came and went lately. */
  traffic(): Traffic;
  /** Call every {@link BEAT_MS}. */
  beat(): void;
};

export function createNode(deps: NodeDeps): NexusNode {
  const meter = new TrafficMeter();
  const metrics = meter.watch(deps.metrics);
  const templates = createTemplateLookup({ tenants: deps.tenants, store: deps.engine.templates });
  const publisher = createPublisher({ ...deps, templates });
  const sessions = new Sessions({ ...deps, metrics, publisher, openFailed: (code) => meter.failed(code) });
  deps.engine.fleet.onDisconnect((request) => sessions.disconnect(asked(request)));
  let draining = false;
  const admission: AdmissionDeps = {
    tenants: deps.tenants,
    verifier: deps.verifier,
    tickets: deps.engine.tickets,
    rates: deps.engine.rates,
    clock: deps.clock,
    metrics: deps.metrics,
    sessions: () => sessions.count(),
    isDraining: () => draining,
  };
  return {
    publisher,
    sessions,
    attempt(transport) {
      const startedAt = deps.clock.monotonic();
      return (refused) => {
        metrics.handshakeTook(transport, deps.clock.monotonic() - startedAt);
        if (refused !== undefined) metrics.handshake(transport, isOurFault(refused) ? "failed" : "rejected");
      };
    },
    async admit(candidate) {
      try {
        const outcome = await admit(admission, candidate);
        if ("code" in outcome) meter.failed(outcome.code);
        return outcome;
      } catch (error) {
        meter.failed(codeOf(error));
        throw error;
      }
    },
    refuseSessions: () => {
      draining = true;
    },
    isDraining: () => draining,
    traffic: () => meter.read(deps.clock.monotonic()),
    beat() {
      sessions.tick();
      meter.beat(deps.clock.monotonic());
    },
  };
}

/** The sessions somebody wants gone. */
function asked(request: DisconnectRequest): (session: Session) => boolean {
  if ("user" in request) return ({ tenant, user }) => tenant === request.tenant && user === request.user;
  return ({ tenant, sessionId }) => tenant === request.tenant && sessionId === request.sessionId;
}
