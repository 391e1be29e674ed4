// Why: a template made by REST keeps the rules a custom resource keeps, so that no send meets one that cannot work.
// Pure. It must never repeat what it refuses.
import type { TemplateSettings } from "@nexus/protocol/bundle.ts";
import type { FieldError } from "@nexus/protocol/failures.ts";
import { fits } from "./template-variables.ts";
import { templateFault } from "./templates.ts";

export type TemplateTexts = { readonly name: string; readonly description: string | undefined };

const MAX_LIST = 64;
const VARIABLE_NAME = /^[^{}\s]{1,128}$/u;
const LOCALE = /^(?=.{2,35}$)[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/;

/**
 * Everything that is wrong, with pointers into the REST body (`/payload_template/title`); empty when the template can be
 * used. `payloadBytes`: the tenant's quota.
 */
export function templateErrors(settings: TemplateSettings, texts: TemplateTexts, payloadBytes: number): readonly FieldError[] {
  const errors = [
    ...textErrors(settings, texts),
    ...variableErrors(settings.variables),
    ...localeErrors(settings.locales),
    ...sizeErrors(settings, payloadBytes),
  ];
  if (errors.length > 0) return errors;
  const fault = templateFault(settings);
  return fault ? [{ pointer: inBody(fault.pointer), detail: fault.detail }] : [];
}

/** `/payload/…` of the settings is `/payload_template/…` of the body. */
const inBody = (pointer: string): string => pointer.replace(/^\/payload(?=\/|$)/, "/payload_template");

const lengthOf = (text: string): number => [...text].length;
const outside = (text: string, min: number, max: number): boolean => lengthOf(text) < min || lengthOf(text) > max;

function* textErrors({ event_type }: TemplateSettings, { name, description }: TemplateTexts): Generator<FieldError> {
  if (outside(name, 1, 256)) yield { pointer: "/name", detail: "must be a text of 1 to 256 characters" };
  if (outside(description ?? "", 0, 1024)) yield { pointer: "/description", detail: "must be a text of 0 to 1024 characters" };
  if (outside(event_type, 1, 256)) yield { pointer: "/event_type", detail: "must be a text of 1 to 256 characters" };
}

function* variableErrors(variables: TemplateSettings["variables"]): Generator<FieldError> {
  if (variables.length > MAX_LIST) yield { pointer: "/variables", detail: `must have at most ${MAX_LIST} items` };
  const seen = new Set<string>();
  for (const [at, variable] of variables.entries()) {
    const pointer = `/variables/${at}`;
    if (!VARIABLE_NAME.test(variable.name)) {
      yield { pointer: `${pointer}/name`, detail: "must be 1-128 characters without braces and spaces" };
    }
    if (seen.has(variable.name)) yield { pointer: `${pointer}/name`, detail: "stands in the list twice" };
    seen.add(variable.name);
    if (variable.default !== undefined && !isDefault(variable)) {
      yield { pointer: `${pointer}/default`, detail: `must be of type ${variable.type}` };
    }
  }
}

/** A send may give a `string` variable any value; its default is what the declaration says. */
const isDefault = ({ type, default: value }: TemplateSettings["variables"][number]): boolean =>
  type === "string" ? typeof value === "string" : (value !== null || type === "any") && fits(type, value);

function* localeErrors(locales: TemplateSettings["locales"]): Generator<FieldError> {
  if (locales.length > MAX_LIST) yield { pointer: "/locales", detail: `must have at most ${MAX_LIST} items` };
  const seen = new Set<string>();
  for (const [at, { locale }] of locales.entries()) {
    const pointer = `/locales/${at}/locale`;
    if (!LOCALE.test(locale)) yield { pointer, detail: "must be a BCP 47 tag, such as de or de-AT" };
    // Tags are matched without regard to letter case.
    if (seen.has(locale.toLowerCase())) yield { pointer, detail: "stands in the list twice; the case of letters does not count" };
    seen.add(locale.toLowerCase());
  }
}

function* sizeErrors({ payload, locales }: TemplateSettings, payloadBytes: number): Generator<FieldError> {
  const detail = `may have ${payloadBytes} bytes of JSON`;
  const isOver = (value: unknown) => Buffer.byteLength(JSON.stringify(value ?? null)) > payloadBytes;
  if (isOver(payload)) yield { pointer: "/payload_template", detail };
  for (const [at, variant] of locales.entries()) if (isOver(variant.payload)) yield { pointer: `/locales/${at}/payload`, detail };
}
