# The commands for users and contributors. CI runs the same targets.

# Makes warnings of this package's own targets errors; see Package.swift.
export AGENT_RUNTIME_STRICT = 1
# Optimizes debug builds, and keeps their assertions; see Package.swift.
export AGENT_RUNTIME_OPTIMIZED = 1
# scripts/install.sh installs it here.
VALKEY = $(CURDIR)/.build/valkey/valkey-server

.PHONY: run demo examples readme test-unit test tsan drill check docs verify fuzz format build release bench clean help

help: ## Lists these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: ## Installs what is missing, builds, and starts one server with a private Redis
	@scripts/install.sh build redis
	@scripts/run.sh

demo: ## Kills a replica in mid-stream, behind nginx, and checks that the text goes on
	@scripts/install.sh build redis nginx
	@scripts/demo.sh

examples: ## Runs every example: clients, balancer settings, providers' settings
	@scripts/install.sh build redis nginx haproxy
	@examples/run.sh

readme: ## Runs the commands of README.md
	@scripts/readme.py

test-unit: ## Runs the tests that need nothing but memory, in seconds
	@scripts/install.sh build
	@scripts/test.sh unit

test: ## Installs what is missing and runs all tests
	@scripts/install.sh build redis valkey openssl haproxy nginx faketime
	@AGENT_RUNTIME_TEST_VALKEY=$(VALKEY) scripts/test.sh all

tsan: ## Runs the tests that need only memory with ThreadSanitizer, in a build of its own
	@scripts/install.sh build
	@scripts/test.sh tsan

drill: ## Injects faults into a deployment on loopback, and checks every session; DRILL="--redis cluster --duration 600"
	@scripts/install.sh build redis haproxy faketime
	@scripts/drill.sh $(DRILL)

check: ## Checks format, warnings, imports, shell scripts and documentation
	@scripts/install.sh build shellcheck
	@scripts/check.sh

docs: ## Builds the documentation of the libraries into .build/docs, without warnings (DocC)
	@scripts/install.sh build
	@scripts/docs.sh

verify: ## Searches a model of the protocol between replicas (SPIN; a few minutes)
	@scripts/install.sh spin
	@verification/verify.sh

fuzz: ## Feeds mutated input to the readers of outside data; FUZZ=1000000 for more, FUZZ="100000 7" for another seed
	@scripts/install.sh build
	@env -u AGENT_RUNTIME_OPTIMIZED Fuzz/run.sh $(FUZZ)

format: ## Formats the sources
	swift format --in-place --recursive --parallel Package.swift Sources Tests Benchmarks Fuzz

build: ## Makes a debug build
	@scripts/install.sh build
	swift build

release: ## Makes a release build of the server
	@scripts/install.sh build
	swift build -c release --product agent-server

bench: ## Measures the server; writes Benchmarks/results
	@scripts/install.sh build redis
	@env -u AGENT_RUNTIME_OPTIMIZED Benchmarks/run.sh

clean: ## Removes all build products
	rm -rf .build Benchmarks/.build Fuzz/.build Fuzz/.build-explore
