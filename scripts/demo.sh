#!/usr/bin/env bash
# Two replicas behind nginx carry one conversation with two tool calls. The model is a scripted one that behaves as DeepSeek's
# server does: it reasons, and refuses a request that does not bring its reasoning back. The script starts everything it needs on
# free loopback ports, prints which replica served each step and what redis-cli shows, and stops everything.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin

swift build --product agent-server
swift build --product failover-drill
server=$(swift build --show-bin-path)/agent-server
drill=$(swift build --show-bin-path)/failover-drill
root=$PWD
work=$(mktemp -d)
pids=()

cleanup() {
    # Last started, first stopped; the replicas drain.
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        kill "${pids[i]}" 2>/dev/null || true
        wait "${pids[i]}" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

free_port() {
    local port
    while true; do
        port=$((20000 + RANDOM % 10000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

await() { # what, command...: until the command succeeds, at most 20 s
    local what=$1
    shift
    for _ in $(seq 200); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    echo "demo: $what did not start; logs:" >&2
    tail -n 20 "$work"/*.log >&2
    exit 1
}

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "Redis, a model, two replicas and nginx"
redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work" --appendonly yes --save '' >"$work/redis.log" 2>&1 &
pids+=($!)
await redis-server redis-cli -s "$work/redis.sock" ping

"$drill" --model --personality deepseek >"$work/model.log" 2>&1 &
pids+=($!)
await "the model" grep -q '^http' "$work/model.log"
model=$(sed -n 's/^http/http/p;q' "$work/model.log")
echo "  a model with the personality of DeepSeek at $model"

upstreams=
repeatable=
for name in replica-a replica-b; do
    port=$(free_port)
    PORT=$port AGENT_RUNTIME__REDIS_URL="unix://$work/redis.sock" AGENT_RUNTIME__REPLICA=$name \
        AGENT_RUNTIME__LLM_PROXY_URL="$model" AGENT_RUNTIME__LLM_REASONING_REQUIRED=true \
        "$server" >"$work/$name.log" 2>&1 &
    pids+=($!)
    await "$name" curl -fsS "http://127.0.0.1:$port/health/ready"
    upstreams+="server 127.0.0.1:$port; "
    repeatable+="server 127.0.0.1:$port max_fails=0; "
    echo "  $name on port $port"
done

balancer=$(free_port)
cat >"$work/nginx.conf" <<CONF
daemon off;
worker_processes 1;
pid "$work/nginx.pid";
error_log "$work/nginx.log" warn;
events { worker_connections 1024; }
http {
    include "$root/docker/nginx/http.conf";
    access_log "$work/access.log" agent_runtime;
    client_body_temp_path "$work/body";
    proxy_temp_path "$work/proxy";
    fastcgi_temp_path "$work/fastcgi";
    uwsgi_temp_path "$work/uwsgi";
    scgi_temp_path "$work/scgi";
    upstream agent_runtime { $upstreams keepalive 16; }
    upstream agent_runtime_repeatable { $repeatable keepalive 16; }
    server {
        listen 127.0.0.1:$balancer;
        include "$root/docker/nginx/proxy.conf";
    }
}
CONF
nginx -p "$work" -c "$work/nginx.conf" -e "$work/nginx.log" &
pids+=($!)
await nginx curl -fsS "http://127.0.0.1:$balancer/nginx-health"
echo "  nginx, round robin, on port $balancer"

session=demo-$$
post() { # the message as JSON: posts it through the balancer, prints the stream, leaves it in $work/answer
    curl -sSN --max-time 60 -D "$work/head" -H 'Content-Type: application/json' \
        -d "{\"session_id\":\"$session\",\"message\":$1}" "http://127.0.0.1:$balancer/agent/message/stream" | tee "$work/answer" |
        sed -n 's/^data: /  /p'
    grep -q '^event: done' "$work/answer" || {
        echo "demo: the stream has no done" >&2
        exit 1
    }
    served+=("$(tr -d '\r' <"$work/head" | sed -n 's/^[Xx]-[Aa]gent-[Rr]eplica: //p')")
    echo "  -- served by ${served[-1]}"
}
served=()

say "The user asks for two things; the model calls two tools and the stream ends"
post '{"type":"user_message","content":"read_file notes.txt\necho the second tool"}'
mapfile -t calls < <(sed -n 's/.*"type":"tool_call","call_id":"\([^"]*\)".*/\1/p' "$work/answer")
[ "${#calls[@]}" -eq 2 ] || {
    echo "demo: expected two tool calls" >&2
    exit 1
}

say "The result of the second call arrives first; the first one is still open"
post "{\"type\":\"tool_result\",\"call_id\":\"${calls[1]}\",\"tool_name\":\"echo\",\"result\":\"the second tool\"}"

say "The last result starts the next step"
post "{\"type\":\"tool_result\",\"call_id\":\"${calls[0]}\",\"tool_name\":\"read_file\",\"result\":{\"text\":\"Buy milk.\",\"lines\":1}}"

grep -q '"status":"completed"' "$work/answer" || {
    echo "demo: the model did not take the results" >&2
    exit 1
}

say "The same result again changes nothing: the step's events are told once more"
post "{\"type\":\"tool_result\",\"call_id\":\"${calls[0]}\",\"tool_name\":\"read_file\",\"result\":{\"text\":\"Buy milk.\",\"lines\":1}}" | tail -n 2

say "The history, as redis-cli shows it: LRANGE agent:{$session}:history 0 -1"
redis-cli -s "$work/redis.sock" LRANGE "agent:{$session}:history" 0 -1

say "The model's reasoning, which lies beside and went back to it: LRANGE agent:{$session}:reasoning 0 -1"
redis-cli -s "$work/redis.sock" LRANGE "agent:{$session}:reasoning" 0 -1

say "The journal of its steps: LRANGE agent:{$session}:steps 0 -1"
redis-cli -s "$work/redis.sock" LRANGE "agent:{$session}:steps" 0 -1

if [ "$(printf '%s\n' "${served[@]}" | sort -u | wc -l)" -lt 2 ]; then
    echo "demo: one replica served everything" >&2
    exit 1
fi
say "Steps were served by: ${served[*]}. Everything is stopped now."
