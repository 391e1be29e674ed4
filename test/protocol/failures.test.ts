// Why: codes are API. Clients decide by them whether to come back.
import { expect, test } from "bun:test";
import { FAILURES, type FailureRow, isRetryableClose } from "@nexus/protocol/failures.ts";
import { OPERATIONS } from "@nexus/protocol/rest/operations.ts";

const rows: readonly (readonly [string, FailureRow])[] = Object.entries(FAILURES);

test.each(rows)("%s: a close code below 4500 says come back, exactly when the failure can be retried on a new session", (_code, row) => {
  if (row.close !== undefined) {
    expect(row.close === 1009 || (row.close >= 4000 && row.close <= 4999)).toBe(true);
    if (row.close < 4500 && row.close !== 1009) expect(row.retry).toBe(true);
  }
  expect(row.status).toBeGreaterThanOrEqual(400);
  expect(row.wire).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
  expect(row.title.length).toBeLessThanOrEqual(80);
});

test("clients come back after 40xx and after a lost connection, and stay away after 45xx", () => {
  for (const code of [1001, 1006, 1011, 4000, 4499]) expect(isRetryableClose(code)).toBe(true);
  for (const code of [1008, 1009, 4500, 4999]) expect(isRetryableClose(code)).toBe(false);
});

test("no two operations share a method and path, and every operation id is unique", () => {
  expect(new Set(OPERATIONS.map(({ method, path }) => `${method} ${path}`)).size).toBe(OPERATIONS.length);
  expect(new Set(OPERATIONS.map(({ id }) => id)).size).toBe(OPERATIONS.length);
});
