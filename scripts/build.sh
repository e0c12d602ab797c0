#!/usr/bin/env bash
# build.sh PRODUCT...: builds the products. Prints the compiler's output only if the build fails:
# warnings of dependencies would hide what the caller prints next.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
for product in "$@"; do
    echo "building $product (the first build takes some minutes)"
    swift build --product "$product" >"$log" 2>&1 || {
        cat "$log" >&2
        echo "build.sh: $product could not be built" >&2
        exit 1
    }
done
