# What CI runs, and what everyone else runs before a commit. `make help` lists the recipes.

CARGO ?= cargo
# Tools that a recipe needs, at versions that work together.
DENY_VERSION := 0.20.2
FUZZ_VERSION := 0.13.1
# How long each fuzz target runs, and which.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= http1_request http1_response configuration decision http1_connection http2_connection

.PHONY: help test fmt fmt-check lint doc docs docs-check deny advisories peers monitoring fuzz demo bench netns image image-check charts e2e

help: ## lists the recipes
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

test: ## every test that needs nothing but a Rust toolchain and a C compiler
	$(CARGO) test --workspace

fmt: ## formats the code
	$(CARGO) fmt --all

fmt-check: ## fails when the code is not formatted
	$(CARGO) fmt --all -- --check

lint: ## clippy, with warnings denied
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

doc: ## rustdoc, with warnings denied
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked

docs: ## generates docs/configuration.md and docs/configuration.schema.json
	$(CARGO) run --quiet -p mynah -- schema > docs/configuration.schema.json
	$(CARGO) run --quiet -p mynah -- schema --reference > docs/configuration.md

docs-check: docs ## fails when what is generated is not what is committed
	git diff --exit-code -- docs/configuration.md docs/configuration.schema.json

deny: ## licences and sources of dependencies
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install cargo-deny --version $(DENY_VERSION) --locked
	$(CARGO) deny --all-features check bans licenses sources

advisories: ## known vulnerabilities of dependencies; fetches the advisory database
	$(CARGO) deny --all-features check advisories

peers: ## tests against nginx, curl, Node, gRPC and a browser; installs them (Debian, as root)
	e2e/install-peers
	$(CARGO) test -p mynah --test peers -- --ignored

monitoring: ## Prometheus rules and Grafana dashboard; installs promtool (Debian, as root)
	monitoring/check

netns: ## tests of the takeover in network namespaces; installs nftables and iproute2 (Debian, as root)
	command -v nft >/dev/null && command -v ip >/dev/null || { apt-get update && apt-get install -y --no-install-recommends nftables iproute2; }
	$(CARGO) test -p mynah --test netns -- --ignored

fuzz: ## runs each fuzz target for FUZZ_SECONDS; installs cargo-fuzz
	@$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install cargo-fuzz --version $(FUZZ_VERSION) --locked
	cd fuzz && for target in $(FUZZ_TARGETS); do ./run $$target $(FUZZ_SECONDS) || exit 1; done

demo: ## shows Mynah at work
	$(CARGO) run --release -- demo

bench: ## measures Mynah beside nginx, Envoy and Traefik; installs them (Debian, as root); see bench/run for parts of it
	bench/run

image: ## the container image, as an OCI archive below target/image; TARGET for another architecture or C library
	image/build $(TARGET)

image-check: ## the image is the same when written twice, static, and small
	image/check $(TARGET)

charts: ## lints and renders the charts, and checks their READMEs; builds helm at first (Go)
	charts/check

e2e: ## tests on a real cluster: installs, builds, starts, tests, removes (Debian, as root); KUBERNETES=1.35 for the newer
	e2e/run
