# Everything a user or a contributor types. CI runs the same targets.

# Warnings of this package's own targets are errors here; see Package.swift.
export AGENT_RUNTIME_STRICT = 1
# Where scripts/install.sh puts it.
VALKEY = $(CURDIR)/.build/valkey/valkey-server

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
	@scripts/install.sh build redis valkey openssl haproxy nginx faketime
	AGENT_RUNTIME_TEST_VALKEY=$(VALKEY) swift test --no-parallel
	@echo "and the suites of the scripts once more, against Valkey"
	AGENT_RUNTIME_TEST_REDIS_SERVER=$(VALKEY) swift test --no-parallel --skip-build --filter 'SessionStoreTests\.(AppendEvents|BeginStep|CommitStep|DeleteSession|Expiry|HistoryBound|LedgerBound|LogAhead|LogEvents|ReleaseStep|Rewind|ScriptHash|TakeOver|Verbatim)'

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
