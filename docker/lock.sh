#!/usr/bin/env bash
# Pins what the images install, with hashes; run by `make constraints` after constraints.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
vllm="vllm==$(sed -n 's|^FROM vllm/vllm-openai:v||p' docker/gpu.Dockerfile)"
options=(--quiet --no-header --no-annotate)
compile=(uv pip compile "${options[@]}" --python-version 3.12 --python-platform x86_64-manylinux_2_28)

echo setuptools | uv pip compile "${options[@]}" --universal --python-version 3.11 --generate-hashes \
  --extra flows --extra dask --constraint constraints.txt pyproject.toml - --output-file docker/requirements.txt

# The GPU image keeps what vLLM's image brings and adds the rest, in the versions of the CPU image.
brought=$(echo "$vllm" | "${compile[@]}" - | sed 's/==.*//; s/\[.*//')
rest=$(mktemp)
trap 'rm -f "$rest"' EXIT
grep -vxFf <(grep -F -f <(sed 's/$/==/' <<<"$brought") constraints.txt) constraints.txt >"$rest"
# shellcheck disable=SC2046 # one option a package
echo "$vllm" | "${compile[@]}" --generate-hashes --constraint "$rest" $(sed 's/^/--no-emit-package /' <<<"$brought") \
  pyproject.toml - --output-file docker/gpu-requirements.txt
