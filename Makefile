# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
STAMP := $(VENV)/.synced
# One process a core, each with whole files, so that a file's slow fixtures are made once.
SIDE_BY_SIDE := -n $(shell nproc) --dist loadscope

.PHONY: help setup demo test test-vm nightly measure measure-day drawings lint types imports check wheel bundle clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     the whole story on a bench: enrol, walk up, stranger, card, withdrawal"
	@echo "make test     the tests"
	@echo "make check    lint, types, import rules and the tests, as CI runs them"
	@echo "make nightly  the long tests as well"
	@echo "make test-vm  a whole gate in an emulated machine: real systemd, TPM, GPIO chip, camera device (docs/vm.md)"
	@echo "make measure  what unlock, purge and start take with 100 to 10,000 residents"
	@echo "make measure-day  how soon a gate answers after a start, and what 2,000 passages write"
	@echo "make drawings the wiring drawings and the schema of the board profiles, in hardware/"
	@echo "make setup    only install; leaves $(BIN)/gatevault"
	@echo "make bundle   what a gate is installed from, offline, into dist/ (ARCH=aarch64|x86_64, PYTHON=3.11|3.13; else all)"

$(STAMP): pyproject.toml uv.lock
	@test -x $(BIN)/python || $(if $(filter 3.%,$(PYTHON)),python3,$(PYTHON)) -m venv $(VENV)
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

# Says what it needs and installs nothing; 15 minutes, the first time some more. Its results go into docs/vm.md.
test-vm: setup
	@$(BIN)/python -m tests.vm.root
	GATEVAULT_VM_PAGE=docs/vm.md $(BIN)/python -m pytest tests/vm -rs

measure: setup
	$(BIN)/python -m tests.vault.measure

measure-day: setup
	$(BIN)/python -m tests.service.measure_day

drawings: setup
	$(BIN)/python -m gatevault.lab.drawings

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy
	cd packaging && ../$(BIN)/mypy --config-file ../pyproject.toml --package gatevault_setup

imports: setup
	$(BIN)/lint-imports

check: lint types imports test

wheel: setup
	@rm -rf dist
	$(UV) build --quiet --wheel --out-dir dist

# Wheels of both Pythons in one bundle an architecture, unless PYTHON names one.
bundle: setup
	$(BIN)/python packaging/bundle.py $(if $(ARCH),--arch $(ARCH)) $(if $(filter 3.%,$(PYTHON)),--python $(PYTHON))

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
