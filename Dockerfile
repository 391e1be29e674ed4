# For people with Docker; without it, `npm run image` makes the same image (docs/install.md).
#   docker build -t registry.example/nexus:0.1.0 .
# Not run by our CI, which has no container engine: it tests the image that `npm run image` makes. Both compile the program
# with the same script. The result runs as 65532 with a read-only root: `docker run --read-only --user 65532 …`.

FROM oven/bun:1.4.5-debian AS build
WORKDIR /src
# The lock file and the manifests first: a change of our code does not install again.
COPY package.json bun.lock bunfig.toml ./
COPY protocol/package.json protocol/
COPY tracing/package.json tracing/
COPY server/package.json server/
COPY operator/package.json operator/
COPY client/package.json client/
COPY cli/package.json cli/
RUN bun install --frozen-lockfile --ignore-scripts
COPY . .
RUN bun scripts/image.ts --program /nexus

# glibc, root certificates, a user 65532; no shell and no package manager.
FROM gcr.io/distroless/base-nossl-debian12:nonroot
LABEL org.opencontainers.image.title="nexus" \
      org.opencontainers.image.description="Real-time notifications: server, operator and command line" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /nexus /usr/bin/nexus
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/usr/bin/nexus"]
