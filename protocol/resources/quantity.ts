// Why: the API server rewrites quantities ("1000m" becomes "1"), so they are equal by value, not by spelling. Exact
// arithmetic: a float would call 9007199254740993 and 9007199254740992 the same.

const QUANTITY = /^([+-]?)(\d+\.?\d*|\.\d+)(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?\d{1,3}))?$/;
const DECIMAL: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const BINARY: Readonly<Record<string, bigint>> = { Ki: 10n, Mi: 20n, Gi: 30n, Ti: 40n, Pi: 50n, Ei: 60n };

/**
 * A Kubernetes quantity in billionths, rounded up (away from zero) as the API server does below 1n; undefined when it is none.
 * Accepts what JSON may carry: `"500m"`, `"1Gi"`, `"1e3"`, `0.5`.
 */
export function parseQuantity(value: string | number): bigint | undefined {
  const match = QUANTITY.exec(String(value));
  if (!match) return undefined;
  const [, sign, digits = "", suffix, exponent] = match;
  const [whole = "", fraction = ""] = digits.split(".");
  const binary = suffix ? BINARY[suffix] : undefined;
  const power = (exponent ? Number(exponent) : binary !== undefined || !suffix ? 0 : (DECIMAL[suffix] ?? 0)) - fraction.length + 9;
  let amount = BigInt(whole + fraction) << (binary ?? 0n);
  if (power >= 0) amount *= 10n ** BigInt(power);
  else {
    const divisor = 10n ** BigInt(-power);
    amount = (amount + divisor - 1n) / divisor;
  }
  return sign === "-" ? -amount : amount;
}

/** Whether both are quantities of the same value. */
export function equalQuantities(a: string | number, b: string | number): boolean {
  const value = parseQuantity(a);
  return value !== undefined && value === parseQuantity(b);
}
