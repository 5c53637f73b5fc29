# One file for all images:
#   docker build --build-arg APP=gateway -t segue/gateway .     (also encoder-worker, llm-worker, decoder-worker)
#   docker build --target model -t segue/model .
# Both bases are arguments, so that a mirror or bases of one's own can take their places.
ARG BUILD_IMAGE=docker.io/library/node:20.20.2-bookworm-slim
ARG RUN_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD_IMAGE} AS node

FROM ${RUN_IMAGE} AS run
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY LICENSE NOTICE /segue/
WORKDIR /segue
ENV NODE_ENV=production
USER 65532:65532
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION} \
      org.opencontainers.image.licenses=Apache-2.0

# A bundle and the program that copies it, hash by hash, to where the workers read it.
FROM run AS model
LABEL org.opencontainers.image.title=segue-model
COPY models/copy-bundle.mjs /segue/
COPY models/segue-smol /segue/models/segue-smol
ENTRYPOINT ["/usr/local/bin/node", "/segue/copy-bundle.mjs", "/segue/models/segue-smol", "/models/segue-smol"]

FROM node AS build
WORKDIR /segue
COPY package.json package-lock.json .npmrc tsconfig.base.json ./
COPY e2e/package.json e2e/
COPY tools/package.json tools/
COPY libs libs
COPY apps apps
# The packages of the build are not kept: each app installs its own.
RUN npm ci --loglevel=error && node_modules/.bin/tsc --build apps/* \
 && npm run build --workspace @segue/page && rm -rf node_modules libs/*/node_modules

# What one app needs at run time: its packages, the libraries it imports, no types, no maps, no other platform.
FROM build AS files
ARG APP
RUN test -n "${APP}" && npm ci --loglevel=error --omit=dev --workspace @segue/${APP} \
 && mkdir -p /out/libs /out/apps \
 && for package in $(cd node_modules/@segue && ls); do \
      if [ -d libs/$package/dist ]; then mkdir /out/libs/$package && cp -r libs/$package/package.json libs/$package/dist /out/libs/$package/; fi; \
    done \
 && mkdir /out/apps/app && cp -r apps/${APP}/package.json apps/${APP}/dist /out/apps/app/ \
 && if [ -d apps/${APP}/public ]; then cp -r apps/${APP}/public /out/apps/app/; fi \
 && npm sbom --package-lock-only --omit=dev --workspace @segue/${APP} --sbom-format cyclonedx > /out/sbom.cdx.json \
 && mv package.json node_modules /out/ \
 && rm -rf /out/node_modules/.bin /out/node_modules/@segue/${APP} /out/node_modules/typescript /out/node_modules/@img/*musl* /out/node_modules/@img/*wasm* \
 && cd /out/node_modules/ && rm -f .package-lock.json \
 && rm -rf @opentelemetry/*/build/esm @opentelemetry/*/build/esnext @aws-sdk/*/dist-es @smithy/*/dist-es \
 && find . -path '*/onnxruntime-node/bin/napi-v*/*' -type d \( -name darwin -o -name win32 \) -prune -exec rm -rf {} + \
 && find . -path "*/onnxruntime-node/bin/napi-v*/linux/*" -prune ! -name "$(node -p process.arch)" -exec rm -rf {} + \
 && find . -type d \( -name test -o -name tests -o -name __tests__ -o -name benchmark -o -name benchmarks -o -name example -o -name examples \) \
      -prune -exec rm -rf {} + \
 && find /out \( -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.tsbuildinfo' -o -name '*.musl.node' \) -type f -delete

FROM run AS app
ARG APP
LABEL org.opencontainers.image.title=segue-${APP}
COPY examples /segue/examples
COPY --from=files /out /segue
ENTRYPOINT ["/usr/local/bin/node", "/segue/apps/app/dist/main.js"]
