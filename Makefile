# Slipway. `make help` lists the targets; `make run` and `make test` are the two that a newcomer needs.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help stop run dev components test quick e2e lint format bench lock clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: $(STAMP) ## the whole way on real data: train, judge, package, release, look; no Docker needed
	@sh ci/tour

stop: $(STAMP) ## stop what runs in all environments of this checkout
	@for pair in $$($(BIN)/python -c 'from ci.shared import shared; s = shared(); print(*(f"{p}:{e.name}" for p in s.running for e in s.environments))'); do \
	  $(BIN)/python -m steps.stop --project "$${pair%%:*}" --env "$${pair##*:}" || exit $$?; \
	done

dev: $(STAMP) ## leave a ready .venv at the root

components: ## install what only some tests need (browser, …); needs root, or says what is missing
	@sh ci/setup/components

# Two fits side by side: threads that spin while they wait steal the cores.
test: export OMP_WAIT_POLICY = PASSIVE
test: $(STAMP) components lint ## everything: style, types, unit, steps, contracts, integration, end to end
	$(BIN)/python -m steps.repro  # the real bundles, with which many tests work
	$(PYTEST) tests -n 2 --dist loadgroup

quick: $(STAMP) ## unit tests alone, in seconds
	$(PYTEST) tests/unit -q -m "not slow" -n 2 $(if $(JUNIT),--junitxml=$(JUNIT))

e2e: $(STAMP) ## the slow stories alone
	$(PYTEST) tests -m slow

lint: $(STAMP) ## style, types, imports, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

format: $(STAMP) ## rewrite to the house's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## measure, side by side with a plain script
	$(BIN)/python bench/pipeline.py

lock: $(STAMP) ## renew the lock files from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --all-extras --python-version 3.11 pyproject.toml -o requirements.lock
	for extra in serving collector; do \
	  $(BIN)/python -c 'import sys, tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"][sys.argv[1]], sep="\n")' $$extra \
	    | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	    --python-version 3.11 --constraint requirements.lock - -o requirements-$$extra.lock || exit $$?; \
	done

clean: ## remove what a build made; keeps data, models, artifacts and .venv
	rm -rf build dist reports .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

$(STAMP): requirements.lock ci/setup/uv.lock ci/setup/venv
	@PYTHON="$(PYTHON)" sh ci/setup/venv
	@touch $@
