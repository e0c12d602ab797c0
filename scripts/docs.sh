#!/usr/bin/env bash
# Builds the documentation of the library products into .build/docs. Fails on any warning of DocC.
set -euo pipefail
cd "$(dirname "$0")/.."
libraries=(RedisClient SessionStore LanguageModels AgentService)

# Emits one graph per module from a debug build, which it makes first if there is none.
swift package dump-symbol-graph --minimum-access-level public --skip-synthesized-members >/dev/null
graphs=$(swift build --show-bin-path)/../symbolgraph

for library in "${libraries[@]}"; do
    own=.build/docs/graphs/$library
    rm -rf "$own" ".build/docs/$library.doccarchive"
    mkdir -p "$own"
    # A module's extensions of another module's types have a graph of their own, with an @.
    cp "$graphs/$library".symbols.json "$own"
    cp "$graphs/$library"@*.symbols.json "$own" 2>/dev/null || true
    docc convert "Sources/$library/$library.docc" --additional-symbol-graph-dir "$own" \
        --fallback-display-name "$library" --fallback-bundle-identifier "agent-runtime.$library" \
        --warnings-as-errors --output-path ".build/docs/$library.doccarchive"
done
echo "make docs: .build/docs has ${#libraries[@]} archives"
