#!/usr/bin/env bash
# Builds the server and starts it. Without further settings it has a private redis-server and the
# scripted model.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/build.sh agent-server
port=${PORT:-8001}
case "${AGENT_RUNTIME__LLM_PROXY_URL:-}$*" in
"")
    cat <<TEXT

Paste this into another terminal once the server listens. The scripted model needs no key:

  curl -N http://127.0.0.1:$port/agent/message/stream -H 'Content-Type: application/json' \\
    -d '{"session_id":"s-1","message":{"content":"slow 100"}}'

Or let it call two tools, and send a tool_result for each (see README.md):

  curl -N http://127.0.0.1:$port/agent/message/stream -H 'Content-Type: application/json' \\
    -d '{"session_id":"s-2","message":{"content":"read_file a.txt\\necho hi"}}'

TEXT
    ;;
*)
    cat <<TEXT

Paste this into another terminal once the server listens:

  curl -N http://127.0.0.1:$port/agent/message/stream -H 'Content-Type: application/json' \\
    -d '{"session_id":"s-1","message":{"content":"Hello!"}}'

TEXT
    ;;
esac
# Nothing balances load here: Ctrl-C ends the server at once.
export AGENT_RUNTIME__DRAIN_NOTICE_SECONDS=${AGENT_RUNTIME__DRAIN_NOTICE_SECONDS:-0}
exec "$(swift build --show-bin-path)/agent-server" "$@"
