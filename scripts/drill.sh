#!/usr/bin/env bash
# Builds the server and the drill, and runs the drill with the given options. The report goes to the terminal, and as a page for a browser
# to failover-drill.html.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin

swift build -c release --product agent-server
swift build -c release --product failover-drill
exec "$(swift build -c release --show-bin-path)/failover-drill" --local --html failover-drill.html "$@"
