# Every target sets up what it needs: a virtual environment in .venv with the locked dependencies.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
PEERS := .venv-peers
PACKAGES := tacit consent ingest privacy audit adjust dashboards
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench bench-peers serve lock clean

help:  ## This list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 13

$(VENV)/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tacit needs Python 3.11 or newer; choose one with PYTHON=…"; exit 1; }
	@test -x $(RUN)/python || { echo "Making the virtual environment in $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing the locked dependencies (about a minute the first time)"
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.development: $(VENV)/.runtime requirements-dev.lock
	@echo "Installing the locked development tools"
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(VENV)/.development  ## Make .venv with everything

demo: $(VENV)/.runtime  ## The main job end to end, then a running dashboard (ARGS="--exit" stops instead)
	@$(RUN)/tacit demo $(ARGS)

serve: $(VENV)/.runtime  ## The service with tacit.yaml (ARGS="--port 8700 …")
	@$(RUN)/tacit serve $(ARGS)

check: $(VENV)/.development  ## The quick inner loop: format, lint, types, contracts
	@$(RUN)/ruff format --check --quiet .
	@$(RUN)/ruff check --quiet .
	@$(RUN)/mypy
	@$(RUN)/lint-imports --no-logo

test: check  ## Everything continuous integration runs (ARGS="-k name" for a part)
	@tests/install_tools
	@$(RUN)/python -m pytest -n auto --dist loadfile $(ARGS)

bench: $(VENV)/.development  ## The benchmark table
	@$(RUN)/python -m benchmarks $(ARGS)

$(PEERS)/.installed: benchmarks/peers/requirements.lock | $(VENV)/.development
	@test -x $(PEERS)/bin/python || { echo "Making the virtual environment in $(PEERS)"; $(PYTHON) -m venv $(PEERS); }
	@echo "Installing the locked libraries to compare with (0.9 GB)"
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/peers/requirements.lock
	@touch $@

bench-peers: $(VENV)/.development $(PEERS)/.installed  ## Closing and deciding beside other libraries, in an environment of their own
	@$(RUN)/python -m benchmarks peers decide

lock: $(VENV)/.development  ## Renew the lock files (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --quiet --no-header pyproject.toml --extra postgres --extra pdf -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --quiet --no-header pyproject.toml --extra postgres --extra pdf --group dev -o requirements-dev.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --quiet --no-header benchmarks/peers/requirements.in -o benchmarks/peers/requirements.lock

clean:  ## Remove what the other targets made
	rm -rf $(VENV) $(PEERS) tests/node/node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache demo-report.json
