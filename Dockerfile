# helm and helm-pin, for CI and for a sidecar that renders. Bases have no default on purpose: name them by digest, for instance
#   docker build --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:… --build-arg HELM_IMAGE=alpine/helm:4.3.1@sha256:… .
# The digests: `crane digest NAME:TAG`. verify, audit and plans that read a cluster also want kubectl on PATH.
ARG PYTHON_IMAGE
ARG HELM_IMAGE

FROM ${HELM_IMAGE} AS helm

FROM ${PYTHON_IMAGE} AS build
COPY requirements.txt install-binary.sh plugin.yaml completion.yaml plugin.complete LICENSE /opt/helm-pin/
COPY bin /opt/helm-pin/bin
COPY helmpin /opt/helm-pin/helmpin
RUN sh /opt/helm-pin/install-binary.sh

FROM ${PYTHON_IMAGE}
ARG HELM_PATH=/usr/bin/helm
COPY --from=helm ${HELM_PATH} /usr/local/bin/helm
COPY --from=build /opt/helm-pin /opt/helm-pin
RUN mkdir -p /home/helm-pin/plugins \
    && ln -s /opt/helm-pin /home/helm-pin/plugins/pin \
    && printf '#!/bin/sh\nexec helm pin "$@"\n' > /usr/local/bin/helm-pin \
    && chmod 755 /usr/local/bin/helm-pin
ENV HELM_DATA_HOME=/home/helm-pin HELM_CACHE_HOME=/tmp/helm-cache HELM_CONFIG_HOME=/tmp/helm-config
USER 65532:65532
WORKDIR /work
CMD ["helm", "pin", "--help"]
