# Everything a newcomer needs: `make demo` and `make test` set up what they use.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready

.PHONY: help demo test lint types layers check bench soak clean

help:
	@echo "make demo   run the identity example on the embedded warehouse"
	@echo "make test   run all tests"
	@echo "make check  lint, types, import layers"
	@echo "make bench  print the ratios of bench/README.md"
	@echo "make soak   the long runs"

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dwx needs Python 3.11 or newer; say which with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/dwx run examples/identity_unification --local .dwx/demo --var customers=1000 < /dev/null

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

check: lint types layers

bench: $(READY)
	$(BIN)/python -m bench

soak: $(READY)
	$(BIN)/python -m pytest -m soak

clean:
	rm -rf $(VENV) .dwx .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
