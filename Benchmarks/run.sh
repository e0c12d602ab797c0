#!/usr/bin/env bash
# Builds the server and the benchmarks in release mode, and runs the benchmarks.
# Usage: run.sh [arguments of bench]
set -euo pipefail
cd "$(dirname "$0")"
export PATH=$PATH:/usr/sbin

swift build -c release --package-path .. --product agent-server
swift build -c release
exec "$(swift build -c release --show-bin-path)/bench" \
    --server "$(swift build -c release --package-path .. --show-bin-path)/agent-server" "$@"
