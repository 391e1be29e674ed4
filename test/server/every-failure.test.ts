// Why: the table of failures is a promise to clients. Here each of its rows is shown by a real server over a real socket
// or request, in every form it has; a row that nothing can show does not compile.
import { describe, expect, test } from "bun:test";
import { type ClosingCode, FAILURES, type FailureCode, isClosing } from "@nexus/protocol/failures.ts";
import { ADMISSIONS } from "./every/admission.ts";
import { expectClose, expectError, type Provocations, showProblem, type Ways } from "./every/provocation.ts";
import { REQUESTS } from "./every/requests.ts";
import { SESSIONS } from "./every/sessions.ts";

const PROVOCATIONS: Provocations<FailureCode> = { ...REQUESTS, ...ADMISSIONS, ...SESSIONS };
const rows = Object.entries(PROVOCATIONS) as readonly (readonly [FailureCode, Ways])[]; // keys of a Record of codes
const LONG_MS = 30_000;

describe.each(rows)("%s", (code, { problem, frame, event, close }) => {
  if (problem) test("is answered as a problem", () => showProblem(code, problem), LONG_MS);
  if (frame)
    test(
      "is answered with an error frame, and the session goes on unless it closes",
      async () => expectError(code, await frame()),
      LONG_MS,
    );
  if (event) test("is told as an error event", async () => expectError(code, (await event()).data), LONG_MS);
  if (close && isClosing(code)) test("closes with its code and its title", async () => expectClose(code, await close()), LONG_MS);
});

test("every close code of the table was shown, and two failures never share one", () => {
  const shown = rows.filter(([, ways]) => ways.close).map(([code]) => FAILURES[code as ClosingCode].close); // only those have a way to close
  const known = Object.values(FAILURES).flatMap((row) => ("close" in row ? [row.close] : []));
  expect(new Set(shown)).toEqual(new Set(known));
  expect(new Set(known).size).toBe(known.length);
});
