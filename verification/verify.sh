#!/usr/bin/env bash
# Searches the model with SPIN as checks.txt says, and prints one line per check. Fails if a check has
# another result than expected: a property does not hold, the property that should catch a mistake
# does not, or a search did not visit every state.
# Usage: verify.sh [NAME...]       runs all checks, or some
#        verify.sh --trail NAME    prints how that check's property fails, step by step
set -euo pipefail
cd "$(dirname "$0")"

readonly at_once=2       # searches
readonly memory_mib=1900 # for each
readonly depth=20000     # steps on one path
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The lines of checks.txt without comments; all of them, or those named.
checks() {
    if [ $# -eq 0 ]; then
        grep -vE '^(#|$)' checks.txt
        return
    fi
    local name
    for name in "$@"; do
        awk -v name="$name" '!/^#/ && $2 == name { print; found = 1 } END { exit !found }' checks.txt || {
            echo "verify.sh: no check is called $name" >&2
            return 64
        }
    done
}

# search "BOUNDS" FLAG...: compiles the search and runs it, in $work; $work/out has all that it prints.
# The search is exact: states are compressed, but none is taken for another.
search() {
    local bounds options=()
    read -ra bounds <<<"$1"
    shift
    case " ${bounds[*]} " in
    *" LIVENESS=1 "*)
        # Partial order reduction excludes fairness with rendezvous.
        set -- -DNOREDUCE -DNFAIR=3 "$@"
        options=(-a -f)
        ;;
    *) set -- -DSAFETY -DNOFAIR "$@" ;;
    esac
    local model=$PWD/model/protocol.pml
    (
        cd "$work"
        spin "${bounds[@]/#/-D}" -a "$model" && gcc -w -DCOLLAPSE "-DMEMLIM=$memory_mib" "$@" -o pan pan.c &&
            ./pan -w20 "-m$depth" "${options[@]}"
    ) >"$work/out" 2>&1 || true
}

# What the search has found: the property that fails, or `nothing`, having seen every state.
finding() {
    if grep -q 'assertion violated' "$work/out"; then
        sed -nE 's/.*assertion violated \(([A-Za-z0-9_]+)\|\|.*/\1/p' "$work/out" | head -n 1
    elif grep -q '^pan:.*acceptance cycle' "$work/out"; then
        echo eventually_idle
    elif grep -q '^pan:.*invalid end state' "$work/out"; then
        echo waits_for_ever
    elif grep -qE 'not completed|too small|out of memory|truncated' "$work/out"; then
        echo incomplete
    elif grep -qE 'errors: 0$' "$work/out"; then
        echo nothing
    else
        echo unknown
    fi
}

# figure PATTERN: the number that the search gives for it.
figure() { sed -nE "s/$1/\\1/p" "$work/out" | head -n 1; }

check() { # EXPECTED NAME "BOUNDS"
    local is verdict=FAILED
    case $1 in
    holds | settles) search "$3" -O2 ;;
    *) search "$3" -O0 ;; # mistakes show soon: compiling takes longer than the search
    esac
    is=$(finding)
    case $1:$is in
    holds:nothing | settles:nothing) verdict=ok is=$1 ;;
    "$is:$is") verdict=ok is="fails: $is" ;;
    *) is="$is, not $1" ;;
    esac
    printf '%-6s  %-30s  %-29s  %9.0f states  %5.1f s  %4.0f MB\n' "$verdict" "$2" "$is" \
        "$(figure ' *([0-9.e+]+) states, stored.*')" \
        "$(figure 'pan: elapsed time ([0-9.e+]+) seconds.*')" \
        "$(figure ' *([0-9.]+)[[:space:]]+total actual memory usage.*')"
    if [ "$verdict" != ok ]; then
        case $is in unknown*) head -n 5 "$work/out" ;; esac
        return 1
    fi
}

trail() { # NAME "BOUNDS"
    local bounds model=$PWD/model/protocol.pml
    read -ra bounds <<<"$2 TRAIL=1"
    # Breadth first finds the shortest way; it recognizes neither the end of all events nor cycles.
    case $2 in *LIVENESS=1*) ;; *) search "${bounds[*]}" -O0 -DBFS ;; esac
    [ -e "$work/protocol.pml.trail" ] || search "${bounds[*]}" -O0
    if [ ! -e "$work/protocol.pml.trail" ]; then
        echo "$1: nothing fails"
        return
    fi
    (cd "$work" && spin -T -w "${bounds[@]/#/-D}" -k protocol.pml.trail -t "$model") 2>&1 |
        sed -e '/^spin: trail ends/,$d' -e '/^Never claim/d' -e 's/\(.\)spin: /\1\nspin: /'
    echo "$1: $(finding)"
}

case ${1-} in
--check)
    read -r expected name bounds <<<"$2"
    check "$expected" "$name" "$bounds"
    ;;
--trail)
    line=$(checks "${2-}")
    read -r _ name bounds <<<"$line"
    trail "$name" "$bounds"
    ;;
*)
    list=$(checks "$@")
    SECONDS=0
    # One process per check; xargs fails when one of them does.
    if xargs -P "$at_once" -d '\n' -n 1 "$PWD/verify.sh" --check <<<"$list"; then
        echo "make verify: $(wc -l <<<"$list") checks went as expected, in $SECONDS s"
    else
        echo "make verify: failed"
        exit 1
    fi
    ;;
esac
