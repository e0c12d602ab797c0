#!/bin/bash
# Records sessions of layout 1 and prints layout-1.txt: a line for each key, with its name and the
# base64 of what DUMP returns.
#
# usage: record.sh SERVER > layout-1.txt     SERVER is an agent-server that can write layout 1
set -eu
server=$1
work=$(mktemp -d)
redis='' agent=''
trap 'kill $redis $agent 2> /dev/null || true; rm -rf "$work"' EXIT
redis-server --port 0 --unixsocket "$work/redis.sock" --save '' --dir "$work" --loglevel warning > /dev/null &
redis=$!
cli() { redis-cli -s "$work/redis.sock" "$@"; }
until cli PING > /dev/null 2>&1; do sleep 0.1; done
cli HSET agent:meta layout 1 > /dev/null
url=http://127.0.0.1:8917
PORT=8917 AGENT_RUNTIME__REPLICA=old-build AGENT_RUNTIME__REDIS_URL="unix://$work/redis.sock" "$server" > "$work/log" 2>&1 &
agent=$!
until curl -sf $url/health/ready > /dev/null; do sleep 0.1; done

# post SESSION MESSAGE [CURL-OPTION…]
post() {
  curl -sN "${@:3}" $url/agent/message/stream -H 'Content-Type: application/json' \
    -d '{"session_id":"'"$1"'","message":'"$2"'}'
}
calls() { curl -s "$url/agent/sessions/$1" | grep -o 'call_id":"[^"]*' | cut -d '"' -f 3; }

# Two turns that ended, the first under an idempotency key.
post ended '{"content":"the first message"}' -H 'Idempotency-Key: key-1' > /dev/null
post ended '{"content":"slow 5"}' > /dev/null
# Two calls, one with its result.
post waiting '{"content":"read_file a.txt\necho hi"}' > /dev/null
post waiting '{"type":"tool_result","call_id":"'"$(calls waiting | head -1)"'","result":"text of the tool"}' > /dev/null
# A step whose replica is killed, and whose lease has run out.
post running '{"content":"hello"}' > /dev/null
post running '{"content":"slow 100000"}' > "$work/running" &
until [ "$(cli XLEN 'agent:{running}:events')" -gt 8 ]; do sleep 0.1; done
kill -9 $agent
lease_until=$(cli HGET 'agent:{running}:state' lease_until)
until [ "$(cli TIME | head -1)000" -gt $((lease_until + 2000)) ]; do sleep 0.2; done

for key in $(cli --scan | sort); do
  printf '%s %s\n' "$key" "$(cli --raw DUMP "$key" | head -c -1 | base64 -w 0)"
done
