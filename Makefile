# Two commands matter: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test test-faults test-quick bench build lint generate setup-demo setup-test

# Build output and tools live outside the clone, so that a fresh clone does not build everything again.
export GEPETTO_CACHE_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/gepetto-fleet
export CARGO_TARGET_DIR ?= $(GEPETTO_CACHE_DIR)/target
DEMO_DIR ?= .demo
DEMO = $(CARGO_TARGET_DIR)/debug/demo --dir $(DEMO_DIR)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | while IFS='|' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: setup-demo ## run a whole fleet on this machine, from nothing to paid GPU-seconds
	@. tests/scripts/env.sh && $(MAKE) --no-print-directory build && $(DEMO) up

demo-down: ## end the demo and remove what it made
	@if [ -x $(CARGO_TARGET_DIR)/debug/demo ]; then $(DEMO) down; else echo "There is no demo to end: it was never built."; fi
	@. tests/scripts/env.sh && tests/scripts/setup.sh left

test: setup-test ## the tests: real Postgres, Redis, Kubernetes and containers, kills and blind spots
	@. tests/scripts/env.sh && tests/scripts/test.sh all

test-faults: setup-test ## only the fault suites, thoroughly: every blow at every write, one kill at a time
	@. tests/scripts/env.sh && tests/scripts/test.sh faults

test-quick: ## the pure tests only: no Postgres, no Kubernetes
	@tests/scripts/setup.sh check && . tests/scripts/env.sh && tests/scripts/test.sh quick

bench: setup-demo ## measure: launch latency, memory, hot paths
	@. tests/scripts/env.sh && tests/scripts/bench.sh

build: ## every program, for the demo and the tests
	@tests/scripts/setup.sh check && . tests/scripts/env.sh && tests/scripts/build.sh

lint: ## formatting, clippy, dependencies, generated files
	@tests/scripts/setup.sh check && . tests/scripts/env.sh && tests/scripts/lint.sh

generate: ## write crds/*.yaml and docs/crds.md from the Rust types
	@tests/scripts/setup.sh check && . tests/scripts/env.sh && cargo run --quiet -p xtask -- generate

setup-demo:
	@tests/scripts/setup.sh demo

setup-test:
	@tests/scripts/setup.sh test
