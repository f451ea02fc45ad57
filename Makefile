# Everything a person does twice. `make help` lists it. Needs make and Python 3.11 or newer, nothing else.
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
      --no-header --no-emit-index-url --no-emit-find-links --no-annotate

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run demo test lint lock bench bench-front bench-ingest bench-links bench-user-agents bench-engagement bench-webhooks clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv with everything `make run` needs
	@$(PYTHON) local/setup.py

setup-dev:
	@$(PYTHON) local/setup.py --dev

run: setup ## Start everything on this machine; Ctrl-C stops it (TELLTALE_PORT, TELLTALE_STATE_DIR, TELLTALE_BRANDS_FILE)
	@$(BIN)/python -m local.run

demo: setup-dev ## Play 300 messages and their recipients through a copy; compare expected with seen
	@$(BIN)/python -m local.demo

test: setup-dev ## Run the whole suite on private servers
	@$(BIN)/pytest

lint: setup-dev ## Check style, types and the arrow rule
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

lock: setup-dev ## Pin what requirements*.in ask for, with hashes; versions already pinned stay
	$(UV) requirements.in -o requirements.txt
	$(UV) requirements-local.in -o requirements-local.txt
	$(UV) requirements-dev.in -o requirements-dev.txt

bench: bench-front bench-ingest bench-links bench-user-agents bench-engagement bench-webhooks ## Run all benchmarks

bench-front: setup-dev ## Pixel and click against a plain Flask view that enqueues per hit
	@$(BIN)/python -m benchmarks.front

bench-ingest: setup-dev ## Journal to MongoDB, events per second by stage
	@$(BIN)/python -m benchmarks.ingest

bench-links: setup-dev ## Rewriting, blocks and batches of messages, through the whole front
	@$(BIN)/python -m benchmarks.links

bench-user-agents: setup-dev ## What judging a user agent costs, in time and memory (AGENTS=a labelled set)
	@$(BIN)/python -m benchmarks.user_agents $(AGENTS)

bench-engagement: setup-dev ## People, proxies and machines whose truth is known: who is told apart
	@$(BIN)/python -m benchmarks.engagement

bench-webhooks: setup-dev ## Webhooks per second, single and in batches; how soon, alone and beside bad endpoints
	@$(BIN)/python -m benchmarks.webhooks

clean: ## Remove .venv and caches; the data in ./var stays
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +
