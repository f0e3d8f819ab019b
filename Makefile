# Everything a newcomer needs: `make demo` and `make test` set up what they use.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready

# The oldest connector that pyproject.toml declares has an environment of its own.
OLD    := .venv-oldest
OLDEST := $(shell sed -n 's/.*"databricks-sql-connector>=\([0-9.]*\),.*/\1/p' pyproject.toml)
WIRE   := tests/warehouse tests/local/test_faults.py tests/local/test_rest.py \
          tests/local/test_lifecycle.py tests/local/test_dml.py tests/program/test_starting.py

# One worker for each core.
SPREAD := -n auto --dist loadgroup

.PHONY: help demo test oldest lint types layers check bench soak clean

help:
	@echo "make demo   run the identity example on the embedded warehouse"
	@echo "make test   run all tests"
	@echo "make oldest run the tests of the wire with the oldest connector that is supported"
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
	$(BIN)/python -m pytest $(SPREAD)

$(OLD)/ready: pyproject.toml
	$(PYTHON) -m venv --clear $(OLD)
	$(OLD)/bin/python -m pip install --quiet --disable-pip-version-check \
		--editable '.[test]' 'databricks-sql-connector==$(OLDEST)'
	touch $@

oldest: $(OLD)/ready
	@echo "The tests of the wire with databricks-sql-connector $(OLDEST):"
	$(OLD)/bin/python -m pytest $(SPREAD) $(WIRE)

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
	rm -rf $(VENV) $(OLD) .dwx .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
