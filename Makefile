# Slipway. `make help` lists the targets; `make run` and `make test` are the two that a newcomer needs.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help run dev test lint clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

dev: $(STAMP) ## leave a ready .venv at the root

$(STAMP): requirements.lock ci/setup/uv.lock
	@PYTHON="$(PYTHON)" sh ci/setup/venv
	@touch $@

clean: ## remove what a build made; keeps data, models and .venv
	rm -rf build dist reports .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
