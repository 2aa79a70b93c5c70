# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
STAMP := $(VENV)/.synced
# One process a core, each with whole files, so that a file's slow fixtures are made once.
SIDE_BY_SIDE := -n $(shell nproc) --dist loadscope

.PHONY: help setup demo test nightly measure measure-day lint types imports check wheel clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     the whole story on a bench: enrol, walk up, stranger, card, withdrawal"
	@echo "make test     the tests"
	@echo "make check    lint, types, import rules and the tests, as CI runs them"
	@echo "make nightly  the long tests as well"
	@echo "make measure  what unlock, purge and start take with 100 to 10,000 residents"
	@echo "make measure-day  how soon a gate answers after a start, and what 2,000 passages write"
	@echo "make setup    only install; leaves $(BIN)/gatevault"

$(STAMP): pyproject.toml uv.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(UV) || $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@test -x $(UV) || $(BIN)/python -m pip install --quiet "uv>=0.9"
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(UV) sync --active --locked --inexact --quiet
	@touch $@

setup: $(STAMP)

demo: setup
	$(BIN)/gatevault demo

test: setup
	$(BIN)/python -m pytest -m "not nightly" $(SIDE_BY_SIDE)

nightly: setup
	$(BIN)/python -m pytest --timeout=3600

measure: setup
	$(BIN)/python -m tests.vault.measure

measure-day: setup
	$(BIN)/python -m tests.service.measure_day

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

check: lint types imports test

wheel: setup
	@rm -rf dist
	$(UV) build --quiet --wheel --out-dir dist

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
