# The GPU image: GPU workers that hold a vLLM engine, and `vllm serve`. Build from the top of the repository:
#   docker build -f docker/gpu.Dockerfile -t skyteller-gpu .
# Two environments, because vLLM and Prefect want different versions of FastAPI: the image's own one, with vLLM, writes the
# captions; /opt/skyteller, the same as in the CPU image, is the worker that asks it to.
FROM vllm/vllm-openai:v0.32.0
ENV UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1
WORKDIR /src
COPY docker/requirements.txt docker/gpu-requirements.txt docker/
RUN uv pip install --system --no-deps --require-hashes -r docker/gpu-requirements.txt && \
    uv venv --python python3 /opt/skyteller && \
    uv pip install --python /opt/skyteller --no-deps --require-hashes -r docker/requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY pipeline pipeline
COPY flows flows
COPY prompts prompts
RUN uv build --wheel --no-build-isolation --python /opt/skyteller --out-dir dist && \
    uv pip install --system --no-deps dist/*.whl && \
    uv pip install --python /opt/skyteller --no-deps dist/*.whl && \
    uv pip check --python /opt/skyteller
RUN useradd --create-home --uid 1001 skyteller && \
    install -d -o skyteller -g skyteller /data /models /home/skyteller/.prefect
COPY --chmod=755 docker/entrypoint.sh /usr/local/bin/skyteller-entrypoint
ENV PATH=/opt/skyteller/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DO_NOT_TRACK=1 \
    VLLM_NO_USAGE_STATS=1 \
    HF_HOME=/models \
    SKYTELLER_VLLM_PYTHON=/usr/bin/python3
USER 1001:1001
WORKDIR /data
VOLUME /models
ENTRYPOINT ["skyteller-entrypoint"]
CMD ["worker", "skyteller-gpu", "--limit", "1"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=600s CMD ["skyteller-entrypoint", "healthy"]
