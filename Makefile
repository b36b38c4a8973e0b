# Every target is self-sufficient: it installs or builds what it needs first.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Cargo always builds the whole workspace: for a part of it, it would build dependencies again with
# other features.
CACHE := $(HOME)/.cache/planning-poker
# Incremental state is of no use to a fresh clone.
export CARGO_INCREMENTAL := 0
# The message of a failed test is enough; a backtrace would bury it.
export RUST_LIB_BACKTRACE := 0
export CARGO_TARGET_DIR ?= $(CACHE)/target
WEB := poker-app/web

# The profile of the programs in build, images, demo and benchmarks: dev compiles faster, release is what is published.
export PROFILE ?= dev

.PHONY: help demo demo-down test unit integration soak e2e web-test lint fmt gen images cluster-up cluster-down bench-decisions \
	release-artifacts check-reproducible web build

help: ## Show what each target does
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## A cluster, the operator and a game to play; prints the address (Ctrl-C leaves it running)
	scripts/demo up

demo-down: ## Remove the demo and its cluster
	scripts/demo down

test: ## Everything CI checks: lint, unit, integration, web-test, e2e
	scripts/test-all

unit: web ## Tests that need no server
	scripts/step "tests of scripts" python3 -m unittest discover --start-directory tests/scripts --pattern '*_test.py'
	scripts/step "unit tests" cargo test --workspace --lib --bins

integration: web ## Tests against real servers: API server, Redis, Kafka, PostgreSQL
	scripts/need redis-server postgresql openjdk-17-jdk-headless maven
	scripts/step "Redis, Kafka and PostgreSQL" cargo test --workspace --test play --test servers -- --test-threads=2
	scripts/step "API server" cargo test --workspace --test apiserver -- --test-threads=2
	scripts/step "API server, alone" cargo test --workspace --test apiserver -- --ignored --test-threads=1

soak: web ## Tests on real servers that take minutes, such as a fenced Kafka broker
	scripts/need redis-server postgresql openjdk-17-jdk-headless maven
	scripts/step "soak" cargo test --workspace --test servers -- --ignored --nocapture

web-test: build ## The page: unit tests, then two browsers against the embedded server
	cd $(WEB) && npm test
	scripts/web-test

e2e: build ## The whole system on a real cluster of three nodes
	scripts/e2e

lint: web ## Formatters, clippy, web linters, shellcheck, cargo deny, drift of generated files
	scripts/lint

fmt: ## Format everything
	cargo fmt --all
	gofmt -w images tests/cluster tests/hpa
	cd $(WEB) && npx prettier --write . ../../tests/web

gen: web ## Regenerate what is committed: CRDs, protocol types, golden renders
	scripts/gen

images: build ## Container images of the programs and of the test servers, without Docker
	scripts/images

cluster-up: ## A kind cluster, built locally if Docker or the node image is unavailable
	tests/cluster/cluster up

cluster-down: ## Remove the cluster; its caches stay (tests/cluster/README.md)
	tests/cluster/cluster down

bench-decisions: build ## Judge forecasts, scaling and verdicts on recorded data; writes docs/decisions.md
	scripts/bench-decisions

release-artifacts: web ## Everything that a release publishes: VERSION=…; see scripts/release/artifacts --help
	scripts/release/artifacts

check-reproducible: ## Build the release twice in fresh clones and compare the bytes
	scripts/release/check-reproducible

web: ## Build the page that the server embeds
	@scripts/toolchain
	scripts/web
	@scripts/own-target

# There are no examples. With --examples, Cargo takes the features of test dependencies too; without, it would compile
# both programs and what they share with tests a second time.
build: web ## Build the programs; PROFILE=release as they are published
	scripts/step "build" cargo build --workspace --bins --examples --profile $(PROFILE)
