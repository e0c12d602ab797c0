#!/usr/bin/env bash
# Builds and runs the tests. Usage: test.sh unit|all|tsan
#
# unit: the suites without a tag: memory, and servers inside the test's process. They run at the
#       same time.
# all:  the suites without a tag, and then each suite tagged `.redis`, `.processes`, `.clock` or
#       `.search` in a
#       process of its own, $JOBS suites at a time, since most of them wait. The suites of the Lua
#       scripts run once more against Valkey.
# tsan: as unit, with ThreadSanitizer, in a build of its own. A data race fails the run.
#
# Prints a line for each suite, and the failures. A tagged suite that fails runs once more, alone. Full logs are in .build/tests. Fails if a test was
# left out, or if a test left a process or a folder behind.
set -euo pipefail
cd "$(dirname "$0")/.."
# As in the Makefile, so that both build the same.
export AGENT_RUNTIME_STRICT=1 AGENT_RUNTIME_OPTIMIZED=1

tier=${1:-all}
jobs=${JOBS:-4}
export logs=.build/tests
build=.build
options=()
if [ "$tier" = tsan ]; then
    build=.build/tsan
    # The locks are the C library's then, which ThreadSanitizer observes; see Guarded.swift.
    options=(--scratch-path "$build" --sanitize=thread -Xswiftc -DTHREAD_SANITIZER)
fi
export bundle=$build/debug/agent-runtimePackageTests.xctest
on_valkey='AppendEvents|BeginStep|BeginStepHistory|BeginStepToolResult|CommitStep|DeleteSession|Expiry|HistoryBound|LedgerBound|LogAhead|LogEvents|ReleaseStep|Rewind|ScriptHash|TakeOver|Verbatim'

mkdir -p "$logs"
rm -f "$logs"/*.log "$logs/results"
if ! swift build --build-tests "${options[@]}" >"$logs/build.log" 2>&1; then
    grep -E '(error|warning):' "$logs/build.log" || tail -50 "$logs/build.log"
    exit 1
fi
started=$SECONDS

# Every folder of a test lies here. The path is short, for unix sockets.
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/tests.XXXX")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

# run NAME ARGUMENT...: runs tests; prints one line, and the failures. `swift test` runs once at a
# time, so the tests are started as it starts them.
run() {
    local name=$1 log="$logs/$1.log" code=0 count result seconds
    shift
    "$bundle" --testing-library swift-testing "$@" >"$log" 2>&1 || code=$?
    read -r count result seconds < <(
        sed -nE 's/.*Test run with ([0-9]+) tests?.* (passed|failed) after ([0-9.]+) seconds.*/\1 \2 \3/p' "$log" | tail -1
        echo "0 crashed 0"
    )
    if [ "$code" -eq 0 ] && [ "$result" = passed ] && [ "$count" -gt 0 ]; then
        printf '%7.1f s %5d tests  %s\n' "$seconds" "$count" "$name"
    else
        printf '%7.1f s %5d tests  %s FAILED: %s\n' "$seconds" "$count" "$name" "$log"
        { grep -aE '✘|Fatal error|error:|ThreadSanitizer:' "$log" || tail -20 "$log"; } | cut -c1-600
        result=failed
    fi
    echo "$result $count $seconds $name" >>"$logs/results"
}

# run_suite [valkey:]TARGET.SUITE
# shellcheck disable=SC2317 # xargs calls it.
run_suite() {
    local suite=${1#valkey:}
    if [ "$suite" != "$1" ]; then export AGENT_RUNTIME_TEST_REDIS_SERVER=$AGENT_RUNTIME_TEST_VALKEY; fi
    run "$1" --filter "^${suite/./\\.}/"
}
export -f run run_suite

# The tagged suites as TARGET.SUITE, the slowest of the last run first.
tagged() {
    find Tests -name '*Tests.swift' -exec awk '
        /^@Suite/ { tags = 0; suite = 1 }
        suite && /\.tags\(\.(redis|processes|clock|search)\)/ { tags = 1 }
        suite && match($0, /(struct|class) [A-Za-z0-9]+/) {
            split(substr($0, RSTART, RLENGTH), name, " "); split(FILENAME, path, "/")
            if (tags) print path[2] "." name[2]
            suite = 0
        }' {} + |
        awk -v times="$logs/times" '
            BEGIN { while ((getline line < times) > 0) { split(line, part, " "); time[part[2]] = part[1] } }
            { print ($1 in time ? time[$1] : $1 ~ /^(Drill|ScaleOut)/ ? 100 : 60), $1 }' |
        sort -rn | cut -d' ' -f2
}
mapfile -t suites < <(tagged)
untagged=()
for suite in "${suites[@]}"; do untagged+=(--skip "^${suite/./\\.}/"); done
# A suite that starts a Redis and has no tag fails.
AGENT_RUNTIME_TEST_REDIS_SERVER=/missing-tag-redis run unit "${untagged[@]}"

failed=0
if [ "$tier" = all ]; then
    valkey=()
    if [ -n "${AGENT_RUNTIME_TEST_VALKEY:-}" ]; then
        mapfile -t valkey < <(printf 'valkey:%s\n' "${suites[@]}" | grep -E "\.($on_valkey)Tests\$")
    fi
    printf '%s\n' "${suites[@]}" "${valkey[@]}" | xargs -P "$jobs" -I{} bash -c 'run_suite {}'
    # Suites beside each other on few cores can miss a deadline. What fails runs once more, alone.
    mapfile -t again < <(awk '$1 == "failed" && $4 != "unit" { print $4 }' "$logs/results")
    if [ "${#again[@]}" -gt 0 ]; then
        echo "again, alone: ${again[*]}"
        sed -i '/^failed .* unit$/!{/^failed /d}' "$logs/results"
        for suite in "${again[@]}"; do (run_suite "$suite"); done
    fi
    awk '{ print $3, $4 }' "$logs/results" >"$logs/times"
    listed=$("$bundle" --testing-library swift-testing --list-tests | wc -l)
    ran=$(awk '$4 !~ /^valkey:/ { sum += $2 } END { print sum }' "$logs/results")
    if [ "$ran" -ne "$listed" ]; then
        echo "$listed tests exist, and $ran ran" >&2
        failed=1
    fi
fi

# What the tests left behind. Processes that were killed last need a moment to end.
left() {
    find "$TMPDIR" -mindepth 1 -maxdepth 1
    for process in /proc/[0-9]*; do
        case $(readlink "$process/cwd" 2>/dev/null) in
        "$TMPDIR"*) tr '\0' ' ' <"$process/cmdline" ;;
        esac
    done
}
for _ in $(seq 20); do
    [ -n "$(left)" ] || break
    sleep 0.1
done
if [ -n "$(left)" ]; then
    echo "left behind by the tests:" >&2
    left >&2
    failed=1
fi

awk -v seconds=$((SECONDS - started)) -v logs="$logs" '
    { tests += $2; failed += $1 == "failed" }
    END { printf "%d tests in %d s, %d of %d runs failed; logs in %s\n", tests, seconds, failed, NR, logs; exit failed > 0 }
' "$logs/results" || failed=1
exit "$failed"
