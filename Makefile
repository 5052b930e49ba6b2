# Everything a contributor runs. `make help` lists it.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help test setup check-format lint check-docs check-dependencies test-docs test-code \
	fmt docs demo bench clean-tools

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The tests come last: the run ends with their summary.
test: setup check-format lint check-docs check-dependencies test-docs test-code ## Set up what is missing and run every check and test

setup: ## Install what the tests need and this machine lacks
	@scripts/setup

check-format: ## Fail if a file is not formatted
	cargo fmt --all --check

lint: ## Run clippy over code and tests, warnings denied
	cargo clippy --workspace --all-targets --locked -- -D warnings

# The pages are for contributors, so private items are shown and may be linked to.
check-docs: ## Build the API documentation, warnings denied
	RUSTDOCFLAGS='-D warnings -A rustdoc::private-intra-doc-links' cargo doc --workspace --no-deps --document-private-items --locked

check-dependencies: ## Check licences, duplicates and sources, if cargo-deny is installed
	@if command -v cargo-deny >/dev/null; then \
		cargo deny --locked check bans licenses sources; \
	else \
		echo 'cargo-deny is not installed: dependency policy not checked'; \
	fi

test-docs: ## Run the examples in the documentation
	cargo test --workspace --doc --locked

test-code: ## Run all tests
	@scripts/test

fmt: ## Format the code
	cargo fmt --all

docs: ## Regenerate the reference pages that come from the code
	WATCHFIRE_UPDATE_DOCS=1 cargo test --locked -p watchfire-tests --test house generated
	WATCHFIRE_UPDATE_DOCS=1 cargo test --locked -p watchfire-api --test api fresh
	WATCHFIRE_UPDATE_DOCS=1 cargo test --locked -p watchfire fresh
	WATCHFIRE_UPDATE_DOCS=1 cargo test --locked -p watchfire-dashboard fresh

# Not the release build: it takes more than twice as long and shows the same.
demo: ## Run a server with a receiver and sample events, and open a tour of it
	cargo run --locked -p watchfire -- demo

bench: ## Measure deliveries per second on this machine
	cargo run --release --locked -p watchfire -- bench

clean-tools: ## Remove the judges that `make setup` installed
	rm -rf .test-tools tests/node/node_modules
