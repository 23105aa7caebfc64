# One image for every service: the command chooses the app and its role, such as `web orders`,
# `worker orders` or `alarms`. The target `dev` adds the development Stripe and the demo data.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

# What the lock file says, without the development group. It changes with the lock file only.
FROM ${PYTHON_IMAGE} AS dependencies
ENV UV_COMPILE_BYTECODE=0 UV_LINK_MODE=copy UV_NO_MANAGED_PYTHON=1 UV_PROJECT_ENVIRONMENT=/opt/venv
WORKDIR /build
COPY pyproject.toml uv.lock ./
# uv is part of the lock file as well, so that its version is written down in one place only.
# The cache is a mount: it stays with the engine and is in no layer.
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/root/.cache \
    version=$(sed -n '/^name = "uv"$/{n;s/version = "\(.*\)"/\1/p}' uv.lock) && \
    pip install --quiet --target /opt/uv "uv==${version}" && \
    PYTHONPATH=/opt/uv python3 -m uv sync --quiet --frozen --no-default-groups --no-install-project

# The interpreter, the libraries that it and the dependencies load, and nothing else of the system:
# no shell, no package manager, no compiler.
FROM dependencies AS system
RUN --mount=type=bind,source=dev/deploy/rootfs.py,target=/rootfs.py \
    python3 /rootfs.py /rootfs /opt/venv

# Compiled here, as nothing can be written where it runs. Hashes instead of times in the compiled
# files make two builds of the same code alike.
FROM dependencies AS code
WORKDIR /app
COPY apps apps
COPY shared shared
COPY ticketing ticketing
RUN python3 -m compileall -q --invalidation-mode unchecked-hash .

FROM scratch AS app
COPY --from=system /rootfs /
COPY dev/deploy/healthcheck.py /healthcheck.py
ENV PATH=/opt/venv/bin:/usr/local/bin \
    LANG=C.UTF-8 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    HOST=0.0.0.0 \
    PORT=3000 \
    OPS_HOST=0.0.0.0 \
    OPS_PORT=9000
WORKDIR /app
COPY --from=code /app /app
USER 10001:10001
EXPOSE 3000 9000
# Alive, not ready: a database that is away is no reason to replace the process.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python3", "-I", "-S", "/healthcheck.py"]
ENTRYPOINT ["python3", "-m", "ticketing"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ticketing" \
      org.opencontainers.image.description="A self-hosted platform on which people sell and buy tickets" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# For compose: the development Stripe and the demo data. Never for production.
FROM app AS dev
COPY dev dev
ENTRYPOINT ["python3", "-m"]

# What is built when nobody names a target.
FROM app
