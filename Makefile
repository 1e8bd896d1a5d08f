# `make demo` and `make test` need Python 3.11 to 3.13 and make; everything else goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Some machines forbid Python to keep compiled modules; every process of a test would compile all of them again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint bench constraints clean
.DEFAULT_GOAL := help

help:
	@echo "make demo         build a small dataset from a made-up town into ./demo"
	@echo "make test         ruff, mypy and all tests"
	@echo "make bench        all benchmarks, as ratios"
	@echo "make constraints  pin the dependencies anew"

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "error: needs Python 3.11 to 3.13, $(PYTHON) is $$($(PYTHON) --version 2>&1); try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/skyteller demo --out demo

test: lint
	$(BIN)/python -m pytest

lint: $(VENV)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(VENV)/.installed
	@for name in $$(basename -s .py tests/benchmarks/bench_*.py); do \
	  echo "== $$name"; $(BIN)/python -m tests.benchmarks.$$name || exit 1; done

constraints: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --python-version 3.11 --no-header --no-annotate \
	  --extra dev --extra flows pyproject.toml --output-file constraints.txt --upgrade

clean:
	rm -rf $(VENV) build *.egg-info
