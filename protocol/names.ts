// Why: every name that travels on the wire is checked by one function here, so that REST, sockets, triggers and the
// operator can never disagree on what a legal name is. No I/O; messages say what would be right, never the value.

/** A channel name: 1-64 characters (at most 256 bytes of UTF-8) of Unicode letters and digits, `.`, `_`, `-`. */
const CHANNEL = /^[\p{L}\p{N}._-]+$/u;
export const CHANNEL_RULE = "1-64 characters (at most 256 bytes) of Unicode letters and digits, '.', '_' and '-'";

export function isChannelName(name: string): boolean {
  if (name.length === 0 || name.length > 128) return false; // 64 characters are at most 128 UTF-16 units
  if (!CHANNEL.test(name)) return false;
  return [...name].length <= 64 && new TextEncoder().encode(name).length <= 256;
}

/** A tenant id as header, claim and effective id: 1-64 of `[A-Za-z0-9._-]`. */
const TENANT = /^[A-Za-z0-9._-]{1,64}$/;
export const TENANT_RULE = "1-64 characters of A-Z a-z 0-9 . _ -";

export const isTenantId = (id: string): boolean => TENANT.test(id);

/** A template id: 1-64 of `[A-Za-z0-9_-]`. */
const TEMPLATE = /^[A-Za-z0-9_-]{1,64}$/;
export const TEMPLATE_RULE = "1-64 characters of A-Z a-z 0-9 _ -";

export const isTemplateId = (id: string): boolean => TEMPLATE.test(id);

/** A user id (JWT `sub`): 1-256 characters without control characters. */
export const USER_RULE = "1-256 characters without control characters";

export function isUserId(id: string): boolean {
  if (id.length === 0 || id.length > 256) return false;
  for (let i = 0; i < id.length; i++) {
    const unit = id.charCodeAt(i);
    if (unit < 0x20 || unit === 0x7f) return false;
  }
  return true;
}

/** The tenant everyone belongs to who names none. */
export const DEFAULT_TENANT = "default";

/** Whether `name` is covered by `pattern`: a literal name, or a prefix followed by `*` (`orders.*`, `*`). */
export function matchesChannel(pattern: string, name: string): boolean {
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
}

/** The rules as JSON Schema has them (code points where a rule counts characters). `isChannelName` also counts bytes. */
export const NAME_SCHEMAS = {
  channel: { type: "string", minLength: 1, maxLength: 64, pattern: CHANNEL.source, description: `Channel name: ${CHANNEL_RULE}.` },
  tenant: { type: "string", minLength: 1, maxLength: 64, pattern: TENANT.source, description: `Tenant: ${TENANT_RULE}.` },
  template: { type: "string", minLength: 1, maxLength: 64, pattern: TEMPLATE.source, description: `Template: ${TEMPLATE_RULE}.` },
  user: { type: "string", minLength: 1, maxLength: 256, pattern: "^[^\\u0000-\\u001f\\u007f]+$", description: `User: ${USER_RULE}.` },
} as const;
