#!/usr/bin/env bash
# Builds and runs the tests. Usage: test.sh unit|all
#
# unit: suites without a tag (memory, and servers within the test's process), at the same time.
# all:  these first; then each suite tagged `.redis`, `.processes` or `.clock` in a process of its
#       own, $JOBS suites at a time: most of them wait. The suites of the Lua scripts run once more
#       against Valkey.
#
# Prints a line for each suite, and what failed. Full logs are in .build/tests. Fails if a test was
# left out, or if a process or a folder is left behind.
set -euo pipefail
cd "$(dirname "$0")/.."

tier=${1:-all}
jobs=${JOBS:-4}
logs=.build/tests
bundle=.build/debug/agent-runtimePackageTests.xctest
scripts_suites='AppendEvents|BeginStep|BeginStepHistory|BeginStepToolResult|CommitStep|DeleteSession|Expiry|HistoryBound|LedgerBound|LogAhead|LogEvents|ReleaseStep|Rewind|ScriptHash|TakeOver|Verbatim'

mkdir -p "$logs"
rm -f "$logs"/*.log "$logs/results"
if ! swift build --build-tests >"$logs/build.log" 2>&1; then
    grep -E '(error|warning):' "$logs/build.log" || tail -50 "$logs/build.log"
    exit 1
fi

# Everything that a test makes lies here: a short path, for unix sockets.
TMPDIR=$(mktemp -d /tmp/tests.XXXXXX)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

# run NAME ARGUMENT...: runs tests; prints one line, and the failures. SwiftPM runs one `swift test`
# at a time, so the bundle is started as SwiftPM starts it.
run() {
    local name=$1 log="$logs/$1.log" code=0 count result seconds
    shift
    "$bundle" --testing-library swift-testing "$@" >"$log" 2>&1 || code=$?
    read -r count result seconds < <(
        sed -nE 's/.*Test run with ([0-9]+) tests?.* (passed|failed) after ([0-9.]+) seconds.*/\1 \2 \3/p' "$log" | tail -1
        echo "0 crashed 0"
    )
    if [ "$code" -eq 0 ] && [ "$result" = passed ] && [ "$count" -gt 0 ]; then
        printf '%6.1f s %4d tests  %s\n' "$seconds" "$count" "$name"
    else
        printf '%6.1f s %4d tests  %s FAILED (%s)\n' "$seconds" "$count" "$name" "$log"
        { grep -aE '✘|Fatal error|error:' "$log" || tail -20 "$log"; } | cut -c1-600
        result=failed
    fi
    echo "$result $count $seconds $name" >>"$logs/results"
}

# tagged: TARGET/SUITE of each suite with a tag, the slowest of the last run first.
tagged() {
    grep -rlE '\.tags\(\.(redis|processes|clock)' Tests --include='*Tests.swift' | while read -r file; do
        target=${file#Tests/}
        echo "${target%%/*}.$(basename "$file" .swift)"
    done | sort | awk -v times="$logs/times" '
        BEGIN { while ((getline line < times) > 0) { split(line, part, " "); time[part[2]] = part[1] } }
        { print ($1 in time ? time[$1] : 60), $1 }' | sort -rn | cut -d' ' -f2
}
mapfile -t suites < <(tagged)

skipped=()
for suite in "${suites[@]}"; do skipped+=(--skip "^${suite/./\\.}/"); done
run unit "${skipped[@]}"

if [ "$tier" = all ]; then
    export -f run
    export bundle logs
    valkey=()
    if [ -n "${AGENT_RUNTIME_TEST_VALKEY:-}" ]; then
        mapfile -t valkey < <(printf '%s\n' "${suites[@]}" | grep -E "\.($scripts_suites)Tests\$" | sed 's/^/valkey:/')
    fi
    printf '%s\n' "${suites[@]}" "${valkey[@]}" | xargs -P "$jobs" -I{} bash -c '
        suite={}
        if [ "${suite#valkey:}" != "$suite" ]; then export AGENT_RUNTIME_TEST_REDIS_SERVER=$AGENT_RUNTIME_TEST_VALKEY; fi
        only=${suite#valkey:}
        run "$suite" --filter "^${only/./\\.}/"'
    awk '{ print $3, $4 }' "$logs/results" >"$logs/times"
fi

failed=$(awk '$1 == "failed"' "$logs/results" | wc -l)
count=$(awk '$4 !~ /^valkey:/ { sum += $2 } END { print sum }' "$logs/results")
echo "$count tests, $failed of $(wc -l <"$logs/results") runs failed, $SECONDS s; logs in $logs"
if [ "$tier" = all ]; then
    listed=$("$bundle" --testing-library swift-testing --list-tests | wc -l)
    if [ "$count" -ne "$listed" ]; then
        echo "$listed tests exist, $count ran: a tagged suite has the name of its file, and each tag its form" >&2
        failed=1
    fi
fi
# Processes end within moments; whatever is still there then was left behind.
sleep 1
left=$(find "$TMPDIR" -mindepth 1 -maxdepth 1)
for process in /proc/[0-9]*; do
    case $(readlink "$process/cwd" 2>/dev/null) in
    "$TMPDIR"*) left+=" $(tr '\0' ' ' <"$process/cmdline")" ;;
    esac
done
if [ -n "${left// /}" ]; then
    printf 'left behind by the tests:\n%s\n' "$left" >&2
    failed=1
fi
[ "$failed" -eq 0 ]
