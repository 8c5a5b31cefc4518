# Commands of this repository. `make help` lists them.
# `make demo` and `make test` need Rust, Go, a C compiler, git, an OpenSSH client and make; they bring everything else themselves.

CARGO ?= cargo
# The image that `make images` builds and `make deploy` runs.
IMAGE ?= ghcr.io/olm-rs/olm-rs:0.1.0
IMAGE_TAG = $(lastword $(subst :, ,$(IMAGE)))
# Where cargo puts the binaries of a release build.
RELEASE = $(abspath $(or $(CARGO_TARGET_DIR),target))/release

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build all binaries
	$(CARGO) build --workspace --bins

.PHONY: demo
demo: build ## Install, upgrade, repair and remove a real operator on a real Kubernetes (KEEP=1 leaves it up)
	$(CARGO) run --quiet --package olm-tests --bin demo -- $(if $(KEEP),--keep)

.PHONY: test
test: build ## Run all tests: unit, documentation, integration, end to end
	$(CARGO) test --workspace --no-fail-fast

.PHONY: test-unit
test-unit: ## Run the tests that need no cluster
	$(CARGO) test --workspace --exclude olm-tests

.PHONY: test-it
test-it: build ## Run the integration tests on a real control plane
	$(CARGO) test --package olm-tests --test it

.PHONY: test-e2e
test-e2e: build ## Run the end-to-end tests on a real control plane
	$(CARGO) test --package olm-tests --test e2e

.PHONY: test-crash
test-crash: ## Kill controllers of a release build before and after each of their writes, instead of at some
	$(CARGO) build --release --workspace --bins --exclude olm-tests --exclude olm-fuzz
	OLM_TEST_CRASH=full OLM_TEST_BIN_DIR=$(RELEASE) $(CARGO) test --package olm-tests --test e2e crash:: -- --nocapture

.PHONY: lint
lint: ## Check formatting, lints, layers and documentation
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) xtask layers
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet

.PHONY: gen
gen: ## Write the generated files: custom resource definitions and roles
	$(CARGO) xtask gen

.PHONY: verify
verify: ## Check that the generated files are up to date
	$(CARGO) xtask gen --check

.PHONY: fuzz
fuzz: ## Fuzz every parser of foreign bytes (SECONDS=600 for each target, TARGETS="fuzz-layers …" for some)
	hack/fuzz $(or $(SECONDS),60) $(TARGETS)

.PHONY: bench
bench: ## Measure times and memory of a release build on a real control plane
	$(CARGO) build --release --workspace --bins --exclude olm-fuzz
	$(CARGO) run --release --quiet --package olm-resolver --example measure
	$(CARGO) run --release --quiet --package olm-tests --bin bench

.PHONY: images
images: ## Build the container image IMAGE
	docker build --tag $(IMAGE) .

.PHONY: deploy
deploy: ## Install the suite in the current cluster with Helm
	helm upgrade --install olm-rs charts/olm-rs --namespace olm-system --create-namespace \
		--set image.repository=$(patsubst %:$(IMAGE_TAG),%,$(IMAGE)) --set image.tag=$(IMAGE_TAG)

.PHONY: undeploy
undeploy: ## Remove the suite from the current cluster; custom resource definitions stay
	helm uninstall olm-rs --namespace olm-system
