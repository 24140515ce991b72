# One image: the runtime with the palette, alone or as an instance of a fleet. Data, flows and secrets are in /data.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY runtime/package.json runtime/
# The node of the lock file is for machines with an older one; scripts would fetch it.
RUN npm ci --ignore-scripts
COPY . .
# Without optional ones: npm takes the compiler for one, as some package would like it beside itself.
RUN npm run build && npm prune --omit=dev --omit=optional --ignore-scripts

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="Sluice" \
      org.opencontainers.image.description="IoT data pipelines on Node-RED that do not lose data" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
COPY --from=build /app/package.json /app/README.md /app/LICENSE ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/examples examples
COPY --from=build /app/flows flows
COPY --from=build /app/runtime/package.json runtime/
COPY --from=build /app/runtime/bin runtime/bin
COPY --from=build /app/runtime/dist runtime/dist
RUN mkdir /data && chown node:node /data
USER node
ENV NODE_ENV=production
VOLUME /data
EXPOSE 1880 9464
# Of every role; what does not work there, /sluice/health and sluice status say.
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:1880/sluice/live').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# It ends on SIGTERM when what is under way is stored: give it more than Docker's 10 s (stop_grace_period).
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/app/runtime/bin/sluice.js"]
# By SLUICE_ROLE: one instance alone, the editor of a fleet, or a worker.
CMD ["container", "--user-dir", "/data"]
