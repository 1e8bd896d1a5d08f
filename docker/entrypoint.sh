#!/bin/sh
# Runs a worker, the Prefect server, a vLLM server, or any single command, as the process that signals reach.
set -eu
role=${1:-}
case $role in
worker)
  shift
  echo "http://127.0.0.1:8080/health" >/tmp/healthy
  exec prefect worker start --with-healthcheck --pool "$@"
  ;;
server)
  shift
  echo "http://127.0.0.1:4200/api/health" >/tmp/healthy
  exec python -m flows.server 0.0.0.0 4200
  ;;
vllm)
  shift
  echo "http://127.0.0.1:8000/health" >/tmp/healthy
  exec "${SKYTELLER_VLLM_PYTHON:?this image holds no vLLM; use the GPU image}" -m vllm.entrypoints.openai.api_server "$@"
  ;;
healthy)
  test -f /tmp/healthy || exit 0 # a single command: healthy while it runs
  exec python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=8)' "$(cat /tmp/healthy)"
  ;;
*) exec "$@" ;;
esac
