// Why: tests read what Prometheus reads. The text format as families and samples, strictly: a line that is neither is an error.

export type Sample = { readonly name: string; readonly labels: Readonly<Record<string, string>>; readonly value: number };
export type Exposition = {
  /** Type by name of the metric, as its TYPE line says. */
  readonly families: ReadonlyMap<string, string>;
  readonly samples: readonly Sample[];
  /** The one sample of this name with (at least) these labels; undefined without one. @throws Error when there are several */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
};

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?/y;
const ESCAPES: Readonly<Record<string, string>> = { "\\n": "\n", '\\"': '"', "\\\\": "\\" };

/** @throws Error at a line that is not of the format */
export function readExposition(text: string): Exposition {
  const families = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (type) families.set(type[1] ?? "", type[2] ?? "");
    if (line === "" || line.startsWith("#")) continue;
    const [, name, labels = "", value] = LINE.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new Error(`no sample: ${line}`);
    samples.push({ name, labels: labelsOf(labels), value: numberOf(value) });
  }
  return {
    families,
    samples,
    value(name, wanted = {}) {
      const fits = (sample: Sample) => Object.entries(wanted).every(([label, value]) => sample.labels[label] === value);
      const found = samples.filter((sample) => sample.name === name && fits(sample));
      if (found.length > 1) throw new Error(`${found.length} samples of ${name} with ${JSON.stringify(wanted)}`);
      return found[0]?.value;
    },
  };
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  for (let at = 0; at < text.length; at = LABEL.lastIndex) {
    const [, name, value] = LABEL.exec(text) ?? [];
    if (name === undefined || value === undefined) throw new Error(`no labels: ${text}`);
    labels[name] = value.replace(/\\./g, (two) => ESCAPES[two] ?? two);
  }
  return labels;
}

function numberOf(text: string): number {
  // Case does not matter to Prometheus either.
  const named = { "+inf": Number.POSITIVE_INFINITY, "-inf": Number.NEGATIVE_INFINITY, nan: Number.NaN }[text.toLowerCase()];
  const value = named ?? Number(text);
  if (named === undefined && Number.isNaN(value)) throw new Error(`no number: ${text}`);
  return value;
}

/** Samples of a histogram have a suffix; the metric they belong to. */
export const familyOf = ({ families }: Exposition, sample: string): string =>
  families.has(sample) ? sample : sample.replace(/_(?:bucket|sum|count)$/, "");
