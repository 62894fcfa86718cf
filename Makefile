# The commands people type. `make help` lists them. Each installs what it needs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

APT := $(if $(filter 0,$(shell id -u)),,sudo )env DEBIAN_FRONTEND=noninteractive apt-get
UI_SOURCES := $(shell find ui -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/test-results/*' 2>/dev/null)

# $(call packages,COMMAND:PACKAGE ...) installs each Debian package whose command is missing.
define packages
missing=""; for pair in $(1); do command -v "$${pair%%:*}" >/dev/null || missing="$$missing $${pair##*:}"; done; \
if [ -n "$$missing" ]; then echo "Installing Debian packages:$$missing"; \
$(APT) update -qq && $(APT) install -y -qq --no-install-recommends $$missing >/dev/null; fi
endef

.PHONY: help
help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build-tools ui ## Install, build and start everything: https://localhost:8443
	cargo build --package gatehouse
	exec target/debug/gatehouse

.PHONY: test
test: test-tools ui ## Install and run all tests: Rust, UI, browser, whole processes
	cargo build --workspace --bins
	cargo nextest run --workspace
	npm --prefix ui run check
	npm --prefix ui test
	GATEWAY=$(CURDIR)/target/debug/gateway k8s/test.sh
	terraform/test.sh

# On Debian, servers are in directories of root's PATH only.
bench test-tools: export PATH := $(PATH):/usr/local/sbin:/usr/sbin

.PHONY: bench
bench: PROFILE ?= release
bench: build-tools ## Benchmark the gateway against nginx and HAProxy; bench/README.md explains the figures
	@$(call packages,haproxy:haproxy nginx:nginx)
	cargo build --profile $(PROFILE) --package gateway --package bench
	target/$(PROFILE)/bench

.PHONY: lint
lint: lint-tools ui ## Check formatting, clippy, dependency licences and sources, UI
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo fetch --locked --quiet # also what other platforms need: cargo-deny reads it without a network
	cargo deny --offline --log-level error check bans licenses sources
	npm --prefix ui run check
	npm --prefix ui run audit

.PHONY: format
format: ui/node_modules/.installed ## Format everything
	cargo fmt --all
	npm --prefix ui run format

.PHONY: generate
generate: ## Regenerate files: wire types, API snapshot, configuration schema, tables in docs/gateway.md
	UPDATE_GENERATED=1 INSTA_UPDATE=always cargo nextest run --package backend-protocol --package gateway-config
	INSTA_UPDATE=always cargo nextest run --package backend openapi
	UPDATE_GENERATED=1 cargo nextest run --package gateway documentation
	UPDATE_GENERATED=1 cargo test --package e2e --test envelope written

.PHONY: ui
ui: ui/dist/index.html ## Build the web page

ui/node_modules/.installed: ui/package-lock.json ui/package.json
	npm --prefix ui ci --no-audit --no-fund
	touch $@

ui/dist/index.html: ui/node_modules/.installed $(filter-out ui/package-lock.json,$(UI_SOURCES))
	npm --prefix ui run build
	touch $@

# Cargo's tools run for seconds and compile for minutes, so they are not optimised.
INSTALL := env CARGO_PROFILE_RELEASE_OPT_LEVEL=0 cargo install --locked --quiet

.PHONY: build-tools test-tools lint-tools
build-tools:
	@$(call packages,cmake:cmake cc:gcc c++:g++ pkg-config:pkg-config)

test-tools: build-tools
	@$(call packages,redis-server:redis-server chromium:chromium firefox-esr:firefox-esr \
	  certutil:libnss3-tools openssl:openssl promtool:prometheus haproxy:haproxy pebble:pebble \
	  testssl:testssl.sh curl:curl python3:python3)
	@python3 -c 'import ensurepip' 2>/dev/null || { $(APT) update -qq && $(APT) install -y -qq python3-venv >/dev/null; }
	@command -v cargo-nextest >/dev/null || $(INSTALL) --no-default-features cargo-nextest@0.9.143

lint-tools: build-tools
	@command -v cargo-deny >/dev/null || $(INSTALL) cargo-deny@0.20.2

.PHONY: clean
clean: ## Remove build results; data and certificates stay
	cargo clean
	rm -rf ui/dist ui/node_modules
