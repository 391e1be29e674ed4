// Why: the breaker decides how long callers of a Redis that is away are sent off; each of its turns is tried by hand.
import { describe, expect, test } from "bun:test";
import { createBreaker } from "@nexus/server/adapters/redis/breaker.ts";
import { manualServerClock } from "../../support/manual-engine-clock.ts";

function subject(random = 0) {
  const clock = manualServerClock();
  let opened = 0;
  const breaker = createBreaker({ clock, random: () => random, onOpen: () => opened++ });
  const fail = () => {
    const ticket = breaker.admit();
    if (ticket === undefined) throw new Error("not admitted");
    breaker.failed(ticket);
  };
  const failTimes = (times: number) => {
    for (let i = 0; i < times; i++) fail();
  };
  return { clock, breaker, fail, failTimes, opened: () => opened };
}

describe("the circuit breaker", () => {
  test("opens at the fifth failure in a row, and not at the fourth", () => {
    const { breaker, failTimes, fail, opened } = subject();
    failTimes(4);
    expect([breaker.state(), breaker.failures(), opened()]).toEqual(["closed", 4, 0]);
    fail();
    expect([breaker.state(), breaker.failures(), opened()]).toEqual(["open", 5, 1]);
    expect(breaker.admit()).toBeUndefined();
  });

  test("a success between starts the count anew", () => {
    const { breaker, failTimes } = subject();
    failTimes(4);
    breaker.succeeded();
    failTimes(4);
    expect(breaker.state()).toBe("closed");
  });

  test("half open lets one call go, whose success closes", () => {
    const { clock, breaker, failTimes } = subject();
    failTimes(5);
    clock.advance(999);
    expect([breaker.state(), breaker.admit()]).toEqual(["open", undefined]);
    clock.advance(1);
    expect(breaker.state()).toBe("half_open");
    expect(breaker.admit()).toBeNumber();
    expect(breaker.admit()).toBeUndefined();
    breaker.succeeded();
    expect([breaker.state(), breaker.failures()]).toEqual(["closed", 0]);
    expect([breaker.admit(), breaker.admit()]).toEqual([expect.any(Number), expect.any(Number)]);
  });

  test.each([
    [0, [1000, 2000, 4000, 8000, 8000]],
    [0.5, [1500, 3000, 6000, 12_000, 12_000]],
  ])("stays open longer each time, up to a bound (chance %p)", (random, spans) => {
    const { clock, breaker, failTimes, fail } = subject(random);
    failTimes(5);
    for (const span of spans) {
      clock.advance(span - 1);
      expect(breaker.admit()).toBeUndefined();
      clock.advance(1);
      fail();
    }
    expect(breaker.failures()).toBe(5 + spans.length);
    clock.advance(spans.at(-1) ?? 0);
    expect(breaker.admit()).toBeNumber();
    breaker.succeeded();
    failTimes(5); // forgets how often it was open
    clock.advance(spans[0] ?? 0);
    expect(breaker.state()).toBe("half_open");
  });

  test("failures of calls from before it opened are not counted again", () => {
    const { clock, breaker, failTimes } = subject();
    const late = [breaker.admit(), breaker.admit()];
    failTimes(5);
    for (const ticket of late) breaker.failed(ticket ?? -1);
    clock.advance(1000);
    expect(breaker.failures()).toBe(5);
    const probe = breaker.admit();
    for (const ticket of late) breaker.failed(ticket ?? -1);
    expect([breaker.failures(), breaker.state()]).toEqual([5, "half_open"]);
    breaker.failed(probe ?? -1);
    expect([breaker.failures(), breaker.state()]).toEqual([6, "open"]);
  });

  test("an answer to a call of long ago closes it, and so does a new connection", () => {
    for (const heal of ["succeeded", "reset"] as const) {
      const { breaker, failTimes } = subject();
      failTimes(5);
      breaker[heal]();
      expect([heal, breaker.state(), breaker.failures()]).toEqual([heal, "closed", 0]);
    }
  });
});
