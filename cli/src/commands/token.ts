// Why: people who try Nexus have no identity provider yet. It must never print the secret.
import { isTenantId, isUserId, TENANT_RULE, USER_RULE } from "@nexus/protocol/names.ts";
import { command, required, UsageError } from "../command.ts";
import { isHmac, mintToken } from "../jwt.ts";

const DAY_SECONDS = 86_400;

export const token = command(
  {
    line: "token --user ID --secret TEXT [flags]",
    about: "Mints a JSON Web Token signed with an HMAC secret, and prints it.",
    options: [
      { name: "--user", value: "ID", about: "Who listens: the sub claim." },
      { name: "--secret", value: "TEXT", about: "The issuer's secret, as text. Or NEXUS_JWT_SECRET in the environment." },
      { name: "--tenant", value: "ID", about: "The tenant_id claim; absent: tenant default." },
      { name: "--role", value: "NAME", many: true, about: "A role. May be repeated." },
      {
        name: "--channel",
        value: "PATTERN",
        many: true,
        about: "A channel the token may use where a rule says Claim (orders.*). May be repeated.",
      },
      { name: "--issuer", value: "TEXT", about: "The iss claim." },
      { name: "--audience", value: "TEXT", about: "The aud claim." },
      { name: "--algorithm", value: "NAME", about: "HS256 (default), HS384 or HS512." },
      { name: "--expires", value: "SECONDS", about: "How long it is good for (86400)." },
    ],
    examples: ['token --user ada --secret "$NEXUS_JWT_SECRET" --channel "orders.*"'],
  },
  async (args, io) => {
    const user = required(args, "--user", io);
    const secret = required(args, "--secret", io, "NEXUS_JWT_SECRET");
    const tenant = args.get("--tenant");
    const algorithm = args.get("--algorithm") ?? "HS256";
    const expires = args.get("--expires") ?? String(DAY_SECONDS);
    if (!isUserId(user)) throw new UsageError(`--user: must be ${USER_RULE}`);
    if (tenant !== undefined && !isTenantId(tenant)) throw new UsageError(`--tenant: must be ${TENANT_RULE}`);
    if (!isHmac(algorithm)) throw new UsageError("--algorithm: must be HS256, HS384 or HS512");
    if (!/^[1-9]\d{0,9}$/.test(expires)) throw new UsageError("--expires: must be a whole number of seconds, at least 1");
    const [roles, channels, iss, aud] = [args.all("--role"), args.all("--channel"), args.get("--issuer"), args.get("--audience")];
    const claims = {
      sub: user,
      ...(tenant === undefined ? {} : { tenant_id: tenant }),
      ...(roles.length > 0 ? { roles } : {}),
      ...(channels.length > 0 ? { channels } : {}),
      ...(iss === undefined ? {} : { iss }),
      ...(aud === undefined ? {} : { aud }),
    };
    io.out(mintToken(secret, claims, { now: Date.now(), lifetimeSeconds: Number(expires), algorithm }));
    return 0;
  },
);
