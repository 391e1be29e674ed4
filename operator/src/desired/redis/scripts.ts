// Why: what runs inside the container of a managed Redis besides Redis: how it starts, and how Kubernetes asks it. Plain sh with
// nothing but cat and tr, so that any image of Redis or Valkey will do. It must never put a password into an argument or into
// the environment: it goes from a mounted file through a pipe.

/** Where the container finds things. */
export const PATHS = {
  config: "/etc/nexus/redis",
  users: "/etc/nexus/redis-users",
  run: "/run/nexus",
  data: "/data",
} as const;

/** Keys of the Secret mounted at {@link PATHS.users}. */
export const USERS_KEYS = { acl: "users.acl", password: "password", previous: "previous" } as const;

const LOADED = `${PATHS.run}/${USERS_KEYS.acl}`;
const ACL = `${PATHS.users}/${USERS_KEYS.acl}`;
const secrets = `${PATHS.users}/${USERS_KEYS.password} ${PATHS.users}/${USERS_KEYS.previous}`;

/** Remembers which users Redis starts with, then becomes Redis: signals reach it and nobody else. */
export const START_SCRIPT = `set -eu
cat ${ACL} > ${LOADED}
exec "$(command -v valkey-server || command -v redis-server)" ${PATHS.config}/redis.conf
`;

/** `ask FILE` sends the lines of its input after AUTH with the password in FILE; answers are lines of its output. */
const ASK = `set -eu
cli="$(command -v valkey-cli || command -v redis-cli)"
ask() {
  { printf 'AUTH %s\\n' "$(cat "$1")"; cat; } | "$cli" 2>&1 | tr '\\n' ' '
}
`;

/**
 * Ready: answers with the password of now. Users that changed in the mounted file are loaded first, so that a password is
 * replaced without a restart; until then the password of before still opens.
 */
export const READY_SCRIPT = `${ASK}
if [ "$(cat ${ACL})" != "$(cat ${LOADED})" ]; then
  for secret in ${secrets}; do
    [ -s "$secret" ] || continue
    said="$(echo 'ACL LOAD' | ask "$secret")"
    if [ "$said" = 'OK OK ' ]; then
      cat ${ACL} > ${LOADED}
      break
    fi
  done
fi
[ "$(echo PING | ask ${PATHS.users}/${USERS_KEYS.password})" = 'OK PONG ' ]
`;

/** Alive: says anything that only a Redis says that can go on, also while it loads its data. A restart loads the users anew. */
export const LIVE_SCRIPT = `${ASK}
for secret in ${secrets}; do
  [ -s "$secret" ] || continue
  case "$(echo PING | ask "$secret")" in
    *PONG* | *LOADING* | *BUSY* | *MISCONF*) exit 0 ;;
  esac
done
exit 1
`;
