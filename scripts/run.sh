#!/usr/bin/env bash
# Builds the server and starts it with the embedded defaults: a private redis-server and the scripted model.
set -euo pipefail
cd "$(dirname "$0")/.."

swift build --product agent-server
port=${PORT:-8001}
cat <<TEXT

Paste this into another terminal once the server listens; the scripted model answers without a key:

  curl -N http://127.0.0.1:$port/agent/message/stream -H 'Content-Type: application/json' \\
    -d '{"session_id":"s-1","message":{"content":"Hello!\\nslow 20"}}'

Or have it call two tools, and answer each with a tool_result (see README.md):

  curl -N http://127.0.0.1:$port/agent/message/stream -H 'Content-Type: application/json' \\
    -d '{"session_id":"s-2","message":{"content":"read_file a.txt\necho hi"}}'

TEXT
# Nothing balances load here: Ctrl-C ends the server at once.
export AGENT_RUNTIME__DRAIN_NOTICE_SECONDS=${AGENT_RUNTIME__DRAIN_NOTICE_SECONDS:-0}
exec "$(swift build --show-bin-path)/agent-server" "$@"
