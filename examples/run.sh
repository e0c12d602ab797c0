#!/usr/bin/env bash
# Runs every example of this folder against servers on loopback, and fails when one of them does not
# do what it says. examples/README.md lists what is run.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin

scripts/build.sh agent-server failover-drill
bin=$(swift build --show-bin-path)
work=$(mktemp -d)
pids=()

cleanup() {
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        kill "${pids[i]}" 2>/dev/null || true
        wait "${pids[i]}" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() {
    echo "examples: $*" >&2
    exit 1
}

free_port() {
    local port
    while true; do
        port=$((30000 + RANDOM % 2000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

await() { # NAME COMMAND...: waits until the command succeeds, at most 20 s
    local name=$1
    shift
    for _ in $(seq 200); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    tail -n 20 "$work"/*.log >&2
    fail "$name did not start"
}

# Starts a process in the background, with its output in a log. The process id is $! afterwards.
start() { # NAME COMMAND...
    local name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 &
    pids+=($!)
}

replica() { # NAME PORT [SETTING=VALUE...]
    local name=$1 port=$2
    shift 2
    start "$name" env PORT="$port" AGENT_RUNTIME__REDIS_URL="unix://$work/redis.sock" AGENT_RUNTIME__REPLICA="$name" \
        AGENT_RUNTIME__DRAIN_NOTICE_SECONDS=0 "$@" "$bin/agent-server"
    processes[$name]=$!
    await "$name" curl -fsS "http://127.0.0.1:$port/health/ready"
}
declare -A processes

# Runs a client with a long text, and kills the replica that runs the step in the middle of it. The
# client must resume, and must print the whole text after the restart.
resumes() { # SESSION OUTPUT COMMAND...
    local session=$1 output=$2 owner
    shift 2
    "$@" "slow 200" >"$output" 2>&1 &
    local client=$!
    await "the text of $session" grep -q ' 40 ' "$output"
    owner=$(redis-cli -s "$work/redis.sock" HGET "agent:{$session}:state" owner)
    kill -9 "${processes[$owner]}"
    wait "${processes[$owner]}" 2>/dev/null || true
    wait "$client" || fail "the client of $session failed: $(cat "$output")"
    grep -q '^\[restart: replica_lost\]$' "$output" || fail "the client of $session saw no restart: $(cat "$output")"
    sed -n '/^\[restart/,$p' "$output" | grep -qF "$(seq -s ' ' 1 200)" || fail "the text of $session is not whole: $(cat "$output")"
    echo "  resumed after kill -9 $owner"
}

start redis redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work" --save ''
await redis redis-cli -s "$work/redis.sock" ping
swiftc -swift-version 6 -warnings-as-errors -parse-as-library -o "$work/client" examples/client.swift

balancer=$(free_port)
first=$(free_port)
second=$(free_port)
# The examples' own ports are fixed. The copies here have free ones.
sed -e "s|127.0.0.1:8000|127.0.0.1:$balancer|; s|127.0.0.1:8001|127.0.0.1:$first|; s|127.0.0.1:8002|127.0.0.1:$second|" \
    -e "s|/tmp/agent-nginx|$work/agent-nginx|; s|include \.\./docker|include $PWD/docker|" examples/nginx.conf >"$work/nginx.conf"
sed -e "s|127.0.0.1:8000|127.0.0.1:$balancer|; s|127.0.0.1:8001|127.0.0.1:$first|; s|127.0.0.1:8002|127.0.0.1:$second|" \
    examples/haproxy.cfg >"$work/haproxy.cfg"

echo "nginx.conf and client.py"
replica one "$first"
replica two "$second"
start nginx nginx -p "$work" -c "$work/nginx.conf"
nginx=$!
await nginx curl -fsS "http://127.0.0.1:$balancer/nginx-health"
printf 'the contents of a file\n' >"$work/a.txt"
python3 examples/client.py "http://127.0.0.1:$balancer" python-tools "$(printf 'read_file %s\necho hi' "$work/a.txt")" >"$work/python.log" 2>&1 ||
    fail "client.py did not complete a turn with tools: $(cat "$work/python.log")"
grep -qF 'the contents of a file' "$work/python.log" || fail "the text of client.py does not quote the tool's result"
echo "  ran two tools"
resumes python-resume "$work/python-resume.log" python3 examples/client.py "http://127.0.0.1:$balancer" python-resume
kill "$nginx"
wait "$nginx" || true

echo "haproxy.cfg and client.swift"
for name in one two; do
    kill -0 "${processes[$name]}" 2>/dev/null || replica "$name" "$([ "$name" = one ] && echo "$first" || echo "$second")"
done
start haproxy haproxy -db -f docker/haproxy/defaults.cfg -f "$work/haproxy.cfg"
await haproxy curl -fsS "http://127.0.0.1:$balancer/health/ready"
"$work/client" "http://127.0.0.1:$balancer" swift-tools "$(printf 'echo hello\necho again')" >"$work/swift.log" 2>&1 ||
    fail "client.swift did not complete a turn with tools: $(cat "$work/swift.log")"
grep -qF 'again' "$work/swift.log" || fail "the text of client.swift does not quote the tool's result"
echo "  ran two tools"
resumes swift-resume "$work/swift-resume.log" "$work/client" "http://127.0.0.1:$balancer" swift-resume

# A provider's settings, with the URL's host replaced by a scripted model that imitates the
# provider.
provider() { # NAME PERSONALITY
    local name=$1 personality=$2 port
    echo "providers/$name.env, against the personality $personality"
    start "model-$name" "$bin/failover-drill" --model --personality "$personality"
    await "the model for $name" grep -q '^http' "$work/model-$name.log"
    port=$(free_port)
    (
        set -a
        # shellcheck disable=SC1090
        . "examples/providers/$name.env"
        set +a
        # The model's host and port, and the path of the provider's URL.
        origin=$(grep -m 1 -oE '^http://[^/]+' "$work/model-$name.log")
        AGENT_RUNTIME__LLM_PROXY_URL=$(sed -E "s|^https?://[^/]+|$origin|" <<<"$AGENT_RUNTIME__LLM_PROXY_URL")
        export PORT=$port AGENT_RUNTIME__REDIS_URL="unix://$work/redis.sock" AGENT_RUNTIME__REPLICA="$name"
        exec "$bin/agent-server"
    ) >"$work/$name.log" 2>&1 &
    pids+=($!)
    await "$name" curl -fsS "http://127.0.0.1:$port/health/ready"
    python3 examples/client.py "http://127.0.0.1:$port" "provider-$name" "$(printf 'echo one\necho two')" >"$work/turn-$name.log" 2>&1 ||
        fail "the settings for $name did not complete a turn: $(cat "$work/turn-$name.log")"
    grep -q 'two' "$work/turn-$name.log" || fail "the model for $name did not get the tools' results"
    echo "  ran two tools"
}
provider openai gpt-5.6
provider litellm plain
provider ollama ollama

echo "examples: all of them work"
