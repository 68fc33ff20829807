# Two commands on a fresh machine: `make demo` and `make test`. Both need Python 3.11 or later, git and make, and make the rest.

PYTHON ?= $(shell for one in python3.13 python3.12 python3.11 python3; do \
	$$one -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$one && break; done)
BIN := .venv/bin
INSTALL := PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install
COUNTERPARTS := radicale scim localstripe sdks ctrlrun agentdojo cedarpy dbos go sigstore sigstore-js

.DEFAULT_GOAL := help
.PHONY: help demo test lint types tests bench torture clean

help: ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: .venv/demo ## play a support conversation against the sandbox, to the verifier's verdict
	@$(BIN)/remit demo

test: .venv/test lint types tests ## lint, types, and all tests: what CI runs

lint: .venv/test ## style, imports and sizes
	@echo '== lint'
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/lint-imports --no-cache --no-logo

types: .venv/test ## mypy, strict
	@echo '== types'
	@$(BIN)/mypy -p remit

tests: .venv/test ## all tests; where nothing but controls failed they are run once more, alone
	@echo '== tests'
	@$(BIN)/python -m pytest -q -n 4 --dist worksteal || { test $$? -eq 1 && $(BIN)/python -m tests.again; }

bench: .venv/test ## measure, beside others, in one run; a table, and JSON in bench/results/
	@$(BIN)/python -m bench

torture: .venv/test ## kill, stop, starve and mislead it at full size, about half an hour; as root, with strace; bench/torture.md
	@$(BIN)/python -m tests.torture

clean: ## remove what was installed and built
	rm -rf .venv .cache dist build

.venv/python:
	@test -n '$(PYTHON)' || { echo 'Remit needs Python 3.11 or later; none is on the PATH. Say which: make PYTHON=/path/to/python3'; exit 1; }
	@echo '== making .venv with $(PYTHON)'
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/demo: .venv/python pyproject.toml constraints.txt
	@echo '== installing Remit (once)'
	@$(INSTALL) -e '.[demo]'
	@touch $@

.venv/test: .venv/python pyproject.toml constraints.txt tests/environments.toml
	@echo '== installing Remit and what its tests need (once)'
	@$(INSTALL) -e '.[caldav,demo,dev,postgres]'
	@echo '== installing the counterparts of the tests, each in an environment of its own (once)'
	@$(BIN)/python tests/environments.py $(COUNTERPARTS)
	@touch $@ .venv/demo
