// Why: scalars that YAML versions and readers disagree on. A file must get the same verdict and the same values from kubectl
// and from our own commands; this list is put to both.

const PLAIN = `
Off off OFF no No NO n N On on yes Yes y Y true True FALSE ~ null Null NULL nan
1.10 1e3 1E3 1. .5 +1 -1 +.5 007 010 08 0o7 0x1F 0b11 1_000 1,000 1:30 190:20:30 12e03 1.5e-3 9007199254740991
2026-01-01 2026-01-01T00:00:00Z 2026-1-1 None Auto Disabled 256Mi 99.9% v1.0 a:b a#b -x
'no' 'null' "1e3" '' "Off" '2026-01-01'
`;

/** As they stand behind `key: `. */
export const SCALARS: readonly string[] = [...PLAIN.trim().split(/\s+/), "2026-01-01 00:00:00", "two words"];
