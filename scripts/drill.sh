#!/usr/bin/env bash
# Runs the failover drill with the given options, after it has built the server and the drill. It reuses
# a build that exists: the release build, else the debug build. Without either it makes a release build.
# The report goes to the terminal, and as a page for a browser to failover-drill.html.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin

is_built() { [ -x ".build/$1/agent-server" ]; }

if is_built release; then
    configuration=release
    echo "drill: brings the release build up to date"
elif is_built debug; then
    configuration=debug
    echo "drill: brings the debug build up to date (after \"make release\" the drill uses a release build)"
else
    configuration=release
    echo "drill: makes a release build, which takes about 9 minutes on two cores"
fi
swift build -c "$configuration" --product agent-server
swift build -c "$configuration" --product failover-drill
echo "drill: writes its report to the terminal and to failover-drill.html"
exec ".build/$configuration/failover-drill" --local --html failover-drill.html "$@"
