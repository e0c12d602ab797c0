#!/usr/bin/env bash
# Checks the sources: imports, format, shell scripts, warnings. Prints every violation, then fails.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0

report() { # a title, and the violations
    [ -n "$2" ] || return 0
    printf '%s\n%s\n\n' "$1" "$2"
    failed=1
}

scripts/imports.py || failed=1
scripts/imports.py --self-test || failed=1
# literals FILE...: FILE:LINE:"…" for each string literal outside of comments.
literals() {
    local file
    for file; do
        sed -E 's_^ *//.*__' "$file" | grep -noE '"([^"\\]|\\.)*"' | sed "s|^|$file:|" || true
    done
}
# Models and clients speak protocols; the engine between them speaks none.
mapfile -t engine < <(find Sources/AgentService -name '*.swift')
report "The engine knows neither SSE nor HTTP; its front ends do:" \
    "$(literals "${engine[@]}" |
        grep -E '"[^"]*((event|data|id|retry): ?|keep-alive|event-stream|HTTP|application/|[A-Z][A-Za-z]+-[A-Z][A-Za-z-]+|Bearer)' || true)"
vendors='OpenAI|Anthropic|Claude|Azure|DeepSeek|Gemini|Google|Kimi|Mistral|Ollama|OpenRouter|VLLM'
report "No file or type of the engine is named after a vendor:" \
    "$(printf '%s\n' "${engine[@]}" | grep -iE "($vendors)[^/]*\$" || true
    grep -niE "(class|struct|enum|actor|protocol|typealias|extension) +[A-Za-z.]*($vendors)" "${engine[@]}" || true)"
report "Documentation:" "$(scripts/docs.py || true)"
report "Nothing may crash on outside data:" \
    "$(grep -rnE '\btry!|\bfatalError\(|\bpreconditionFailure\(|\bas! ' Sources || true)"
report "Every Lua script explains KEYS, ARGV and its replies in its head:" \
    "$(for script in Sources/SessionStore/Scripts/*.lua; do
        for word in '-- KEYS' '-- ARGV' '-- Replies'; do
            head -70 "$script" | grep -q -e "^$word" || echo "$script: $word"
        done
    done)"

report "Format (make format mends it):" "$(swift format lint --recursive --parallel --strict Package.swift Sources Tests Benchmarks Fuzz 2>&1 || true)"

# An unpacked archive has no list of what belongs to it.
files() {
    git ls-files --cached --others --exclude-standard 2>/dev/null ||
        find . -type f -not -path '*/.build*/*' -not -path './.git/*' -not -path './.agent-runtime/*'
}
mapfile -t scripts < <(files | while read -r file; do
    if [ -f "$file" ] && head -c 64 "$file" | grep -qaE '^#!.*\b(ba)?sh\b'; then echo "$file"; fi
done)
shellcheck "${scripts[@]}" || failed=1

# Warnings are errors with this variable; see Package.swift.
AGENT_RUNTIME_STRICT=1 swift build --build-tests || failed=1

if [ "$failed" -ne 0 ]; then
    echo "make check: failed"
    exit 1
fi
echo "make check: everything holds"
