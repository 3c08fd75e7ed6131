# SenseCF with its page, from this repository: docs/install.md. `make lint-docker` lints it.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /dist .

FROM python:3.13-slim-bookworm
COPY locks/web.txt /tmp/web.txt
# Every package at one version, each held to its hash.
RUN python -m pip install --no-cache-dir --require-hashes --requirement /tmp/web.txt && rm /tmp/web.txt
COPY --from=build /dist /dist
RUN python -m pip install --no-cache-dir --no-deps /dist/*.whl \
    && useradd --create-home --uid 1000 sensecf
USER 1000
WORKDIR /data
ENTRYPOINT ["sensecf"]
CMD ["--help"]
