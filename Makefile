# `make` alone lists the targets. Each one sets up first what it needs; that takes no time when it is there already.

PYTHON ?= python3
# `.venv/bin` leads PATH so that the engine finds the language host that belongs to it.
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH"

.DEFAULT_GOAL := help
.PHONY: help setup ready demo drill test unit policy kafka lint bench lock clean

help:
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Python packages in .venv, .venv/bin/pulumi, .venv/bin/sandbox; Kafka's jars in the user's cache
	@$(PYTHON) toolchain/bootstrap.py

ready:
	@$(PYTHON) toolchain/bootstrap.py --quiet

demo: ready ## both stacks, a lost Region, failover and failback, every message counted: without an AWS account
	@$(RUN) python -m sandbox.demo

drill: ready ## the same under load, planned and unplanned: what is lost, what comes twice, how long it takes
	@$(RUN) python -m sandbox.drill $(DRILL)

test: ready ## every test, the real Pulumi engine and real Kafka included
	@$(RUN) python -m pytest

unit: ready ## the quick tests of the program: no engine, no stand-in for AWS, no policies
	@$(RUN) python -m pytest tests --ignore=tests/engine --ignore=tests/sandbox --ignore=tests/policies --ignore=tests/api --ignore=tests/kafka

policy: ready ## both stacks previewed with the policy pack, on the stand-in
	@$(RUN) python -m sandbox.policy

kafka: ready ## the tests on real Kafka alone
	@$(RUN) python -m pytest -m kafka tests/kafka

lint: ready ## format, lint, types, workflows
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) mypy
	$(RUN) zizmor --offline --quiet --no-progress .github/workflows
	$(RUN) check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

bench: ready ## what it costs: program start, preview and up, growth with topics
	@$(RUN) python -m bench

LOCK := uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate

lock: ready ## both locks again from pyproject.toml (newer versions: make lock UPGRADE=--upgrade)
	@$(RUN) $(LOCK) $(UPGRADE) --group dev pyproject.toml -o toolchain/requirements.txt
	@$(RUN) $(LOCK) --constraint toolchain/requirements.txt pyproject.toml -o requirements.txt

clean: ## remove what the other targets made in this folder (the user's cache folder stays)
	@rm -rf .venv .sandbox .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
