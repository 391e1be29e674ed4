// Why: what a backend has to know to use the quickstart (address of the Service, generated API key, token secret), read the
// way a user reads it. It must never reach into a pod or the operator.
import { SignJWT } from "jose";

export type Answer = { readonly status: number; readonly body: Record<string, unknown> };

export type Backend = {
  readonly url: string;
  readonly socketUrl: string;
  readonly jwtSecret: string;
  /** `POST /api/v1/notifications/<operation>` with the generated key, or with `key`. */
  post(operation: string, body: unknown, key?: string): Promise<Answer>;
};

type Kubectl = (...args: string[]) => Promise<string>;

export async function backend(kubectl: Kubectl, namespace: string, jwtSecret: string): Promise<Backend> {
  const address = await kubectl("get", "-n", namespace, "service/quickstart-server", "-o", "jsonpath={.spec.clusterIP}");
  const encoded = await kubectl("get", "-n", namespace, "secret/default-apikey-backend", "-o", "jsonpath={.data.key}");
  const apiKey = Buffer.from(encoded, "base64").toString();
  const url = `http://${address}:8081`;
  return {
    url,
    socketUrl: url.replace("http", "ws"),
    jwtSecret,
    async post(operation, body, key = apiKey) {
      const answer = await fetch(`${url}/api/v1/notifications/${operation}`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": key },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(5000),
      });
      // Every answer of the server is a JSON object, problems too.
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
    },
  };
}

/** A token for `user` of tenant `default`, good for ten minutes. */
export const mintToken = (secret: string, user: string): Promise<string> =>
  new SignJWT({}).setProtectedHeader({ alg: "HS256" }).setSubject(user).setExpirationTime("10m").sign(new TextEncoder().encode(secret));
