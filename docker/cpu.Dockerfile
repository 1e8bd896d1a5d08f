# The CPU image: Prefect server, control and CPU workers, single commands. Build from the top of the repository:
#   docker build -f docker/cpu.Dockerfile -t skyteller-cpu .
FROM python:3.12-slim-bookworm AS build
ENV UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1
WORKDIR /src
RUN python -m pip install --no-cache-dir --no-deps uv==0.13.8 && uv venv /opt/skyteller
COPY docker/requirements.txt docker/
RUN uv pip install --python /opt/skyteller --no-deps --require-hashes -r docker/requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY pipeline pipeline
COPY flows flows
COPY prompts prompts
RUN uv build --wheel --no-build-isolation --python /opt/skyteller --out-dir dist && \
    uv pip install --python /opt/skyteller --no-deps dist/*.whl && \
    uv pip check --python /opt/skyteller

FROM python:3.12-slim-bookworm
RUN useradd --create-home --uid 1000 skyteller && install -d -o skyteller -g skyteller /data /home/skyteller/.prefect
COPY --from=build /opt/skyteller /opt/skyteller
COPY --chmod=755 docker/entrypoint.sh /usr/local/bin/skyteller-entrypoint
ENV PATH=/opt/skyteller/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DO_NOT_TRACK=1 \
    PREFECT_SERVER_UI_STATIC_DIRECTORY=/tmp/prefect-ui
USER 1000:1000
WORKDIR /data
ENTRYPOINT ["skyteller-entrypoint"]
CMD ["skyteller", "--help"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["skyteller-entrypoint", "healthy"]
