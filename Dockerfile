# One image for API and worker; docker-compose.yml says which of them a container is.
# Not run where this was written (no Docker engine there): its syntax and its references are tested.
FROM node:24-bookworm-slim AS build
WORKDIR /srv/tenure
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
RUN node scripts/build.mjs && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-bookworm-slim
ENV NODE_ENV=production \
    TENURE_HOME=/var/lib/tenure \
    TENURE_POLICY_DIR=/srv/tenure/policy \
    TENURE_HOST=0.0.0.0
WORKDIR /srv/tenure
RUN install -d -o node -g node -m 0700 /var/lib/tenure
COPY --from=build /srv/tenure/package.json ./
COPY --from=build /srv/tenure/node_modules ./node_modules
COPY --from=build /srv/tenure/build ./build
COPY policy ./policy
USER node
VOLUME /var/lib/tenure
EXPOSE 7480
STOPSIGNAL SIGTERM
CMD ["node", "--enable-source-maps", "build/src/api/main.js"]
