#!/usr/bin/env bash
# Usage: run.sh [COUNT [SEED]]
#            tries COUNT mutations of each kind of input (100000 by default), in one process per kind
#        run.sh replay KIND SEED NUMBER
#            tries one of them again, with a backtrace
#        run.sh input KIND FILE
#            tries a file that libFuzzer has left
#        run.sh explore KIND [OPTIONS]
#            searches with libFuzzer; OPTIONS are libFuzzer's, such as -max_total_time=600
set -euo pipefail
cd "$(dirname "$0")"

# `@testable import` needs libraries that are built with this option.
# `FrontEnds/` links to files of the server, which use declarations of its package.
options=(-c release -Xswiftc -enable-testing -Xswiftc -package-name -Xswiftc fuzzed)

if [ "${1:-}" = explore ]; then
    kind=${2:?"a kind: model, request or redis"}
    shift 2
    # The linker gold fails on libFuzzer's archive.
    nice swift build "${options[@]}" --scratch-path .build-explore -Xswiftc -sanitize=fuzzer -Xswiftc -DEXPLORE -Xswiftc -use-ld=lld
    mkdir -p "found/$kind"
    FUZZ_KIND=$kind exec .build-explore/release/fuzz "found/$kind" -artifact_prefix="found/$kind-" -max_len=16384 -timeout=20 "$@"
fi

swift build "${options[@]}"
exec .build/release/fuzz "$@"
