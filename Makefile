# Everything a user or a contributor types. CI runs the same targets.

# Warnings of this package's own targets are errors here; see Package.swift.
export AGENT_RUNTIME_STRICT = 1

.PHONY: run demo test drill check verify fuzz format build release bench clean help

help: ## Lists these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: ## Installs what is missing, builds, and starts one server with a Redis of its own
	@scripts/install.sh build redis
	@scripts/run.sh

demo: ## Two replicas behind nginx, one conversation with tool calls across both
	@scripts/install.sh build redis nginx
	@scripts/demo.sh

test: ## Installs what is missing and runs all tests
	@scripts/install.sh build redis openssl haproxy nginx faketime
	swift test --no-parallel

drill: ## Rehearses failures on a deployment that it builds on loopback; DRILL="--redis cluster --duration 600"
	@scripts/install.sh build redis haproxy faketime
	@scripts/drill.sh $(DRILL)

check: ## Format, warnings, import rules, shell scripts
	@scripts/install.sh build shellcheck
	@scripts/check.sh

verify: ## Searches the model of the protocol between replicas (SPIN; a few minutes)
	@scripts/install.sh spin
	@verification/verify.sh

fuzz: ## Tries mutations of what comes from outside; FUZZ=1000000 for more, FUZZ="100000 7" for another seed
	@scripts/install.sh build
	@Fuzz/run.sh $(FUZZ)

format: ## Formats the sources in place
	swift format --in-place --recursive --parallel Package.swift Sources Tests Benchmarks Fuzz

build: ## A debug build
	@scripts/install.sh build
	swift build

release: ## A release build of the server
	@scripts/install.sh build
	swift build -c release --product agent-server

bench: ## Measures the server; results in Benchmarks/results
	@scripts/install.sh build redis
	@Benchmarks/run.sh

clean: ## Removes what was built
	rm -rf .build Benchmarks/.build Fuzz/.build Fuzz/.build-explore
