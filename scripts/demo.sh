#!/usr/bin/env bash
# Two replicas behind nginx carry one conversation with two tool calls. In the middle of the final
# text, the script kills the replica that streams it (SIGKILL); the client resumes through nginx,
# and the other replica goes on. The script checks that no event is missing and that the text is
# whole, and fails otherwise.
#
# The model is a scripted one that imitates DeepSeek's server: it reasons, and refuses a request
# without its reasoning. The script starts everything on free loopback ports, and stops everything
# at its end.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin

scripts/build.sh agent-server failover-drill
server=$(swift build --show-bin-path)/agent-server
drill=$(swift build --show-bin-path)/failover-drill
root=$PWD
work=$(mktemp -d)
pids=()

cleanup() {
    # The processes stop in the reverse order of their start; the replicas drain.
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

await() { # NAME COMMAND...: waits until the command succeeds, at most 20 s
    local name=$1
    shift
    for _ in $(seq 200); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    tail -n 20 "$work"/*.log >&2
    fail "$name did not start; its log is above"
}

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

fail() {
    echo "demo: $*" >&2
    exit 1
}

say "Redis, a model, two replicas and nginx"
redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work" --appendonly yes --save '' >"$work/redis.log" 2>&1 &
pids+=($!)
await redis-server redis-cli -s "$work/redis.sock" ping

"$drill" --model --personality deepseek >"$work/model.log" 2>&1 &
pids+=($!)
await "the model" grep -q '^http' "$work/model.log"
model=$(sed -n 's/^http/http/p;q' "$work/model.log")
echo "  a model that imitates DeepSeek, at $model"

declare -A replicas
upstreams=
repeatable=
for name in replica-a replica-b; do
    port=$(free_port)
    PORT=$port AGENT_RUNTIME__REDIS_URL="unix://$work/redis.sock" AGENT_RUNTIME__REPLICA=$name \
        AGENT_RUNTIME__LLM_PROXY_URL="$model" AGENT_RUNTIME__LLM_REASONING_REQUIRED=true \
        "$server" >"$work/$name.log" 2>&1 &
    replicas[$name]=$!
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
url=http://127.0.0.1:$balancer/agent
served=()

# Streams a message through nginx, prints its events, and leaves them in $work/events.
post() { # MESSAGE
    curl -sSN --max-time 60 -D "$work/head" -H 'Content-Type: application/json' \
        -d "{\"session_id\":\"$session\",\"message\":$1}" "$url/message/stream" | tee "$work/events" | sed -n 's/^data: /  /p'
    grep -q '^event: done' "$work/events" || fail "the stream has no done"
    served+=("$(tr -d '\r' <"$work/head" | sed -n 's/^[Xx]-[Aa]gent-[Rr]eplica: //p')")
    echo "  -- served by ${served[-1]}"
}

say "The user asks for two things; the model calls two tools and the stream ends"
post '{"type":"user_message","content":"read_file numbers.txt\necho the second tool"}'
mapfile -t calls < <(sed -n 's/.*"type":"tool_call","call_id":"\([^"]*\)".*/\1/p' "$work/events")
[ "${#calls[@]}" -eq 2 ] || fail "expected two tool calls"

say "The result of the second call arrives first; the first one is still pending"
post "{\"type\":\"tool_result\",\"call_id\":\"${calls[1]}\",\"tool_name\":\"echo\",\"result\":\"the second tool\"}"

# Reads one stream from curl: prints its text, checks that no event is missing, and kills the
# replica after $1 text deltas (0: never). Continues the variables last_id, deltas, text, final,
# status and replica.
follow() { # COUNT CURL-ARGUMENT...
    local kill_after=$1 line id='' data delta
    shift
    while IFS= read -r line; do
        line=${line%$'\r'}
        case $line in
        [Xx]-[Aa]gent-[Rr]eplica:*) replica=${line#*: } ;;
        id:*) id=${line#id: } ;;
        data:*)
            data=${line#data: }
            receive
            ;;
        esac
    done < <(curl -sSNi --max-time 60 "$@" 2>/dev/null)
}

receive() { # Handles one event: $id and $data.
    local step sequence before
    if [[ $data == *'"type":"restart"'* ]]; then
        printf '\n  \033[1m%s: restart after %s ms without text\033[0m\n  ' "$replica" "$(milliseconds_since "$silent_since")"
        restarts=$((restarts + 1))
        text=
    fi
    if [ -n "$id" ]; then
        step=${id%%-*} sequence=${id#*-} sequence=${sequence%%.*}
        # Each event follows the one before it. A step begins with 1, a step that replaces another
        # with 0, its restart.
        if [ "$step" = "${last_id%%-*}" ]; then
            before=${last_id#*-} before=${before%%.*}
            [ "$sequence" -eq $((before + 1)) ] || fail "an event is missing between '$last_id' and '$id'"
        else
            [ "$sequence" -le 1 ] || fail "step $step does not begin with its first event, but with '$id'"
        fi
        last_id=$id
        id=
    fi
    if [[ $data =~ \"type\":\"assistant_message\",\"token\":\"([^\"]+)\" ]]; then
        delta=${BASH_REMATCH[1]}
        text+=$delta
        deltas=$((deltas + 1))
        silent_since=$EPOCHREALTIME
        printf '%s' "$delta"
        if [ "$deltas" -eq "$kill_after" ]; then
            printf '\n  \033[1mkill -9 %s\033[0m' "$replica"
            killed=$replica
            kill -9 "${replicas[$replica]}"
            wait "${replicas[$replica]}" 2>/dev/null || true
        fi
    elif [[ $data =~ \"content\":\"([^\"]*)\" ]]; then
        final=${BASH_REMATCH[1]}
    elif [[ $data =~ \"status\":\"([a-z]+)\" ]]; then
        status=${BASH_REMATCH[1]}
    fi
}

milliseconds_since() { # TIME, in the form of EPOCHREALTIME
    echo $(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 1000))
}

say "The last result starts the final step; its replica is killed while it streams"
numbers=$(seq -s ' ' 1 150)
last_id='' deltas=0 text='' final='' status='' replica='' killed='' restarts=0 silent_since=$EPOCHREALTIME
result="{\"type\":\"tool_result\",\"call_id\":\"${calls[0]}\",\"tool_name\":\"read_file\",\"result\":\"$numbers\"}"
printf '  '
follow 60 -H 'Content-Type: application/json' -d "{\"session_id\":\"$session\",\"message\":$result}" "$url/message/stream"
if [ -z "$killed" ] || [ -n "$status" ]; then fail "the stream did not break off: status '$status', $deltas deltas"; fi
served+=("$killed")
for _ in $(seq 100); do
    [ -n "$status" ] && break
    # The stream has no done: the client resumes it behind the last event that it has.
    follow 0 -H "Last-Event-ID: $last_id" "$url/sessions/$session/stream"
    [ -n "$status" ] || sleep 0.1
done
served+=("$replica")
printf '\n  -- status %s, served by %s\n' "$status" "$replica"

[ "$status" = completed ] || fail "the step did not complete after the kill"
[ "$replica" != "$killed" ] || fail "the killed replica served the rest"
[ "$restarts" -eq 1 ] || fail "expected one restart, not $restarts"
[ "$text" = "$final" ] || fail "the text deltas are not the final text: '$text' and '$final'"
[[ $final == *"$numbers"* ]] || fail "the final text lacks a part of the tool's result"
copies=$(redis-cli -s "$work/redis.sock" LRANGE "agent:{$session}:history" 0 -1 | grep -c '"role":"assistant".*The tools returned')
[ "$copies" -eq 1 ] || fail "the history has the text $copies times"
echo "  -- checked: no event is missing, the deltas are the final text, the history has it once"

say "The same result again changes nothing: the step's events come once more"
post "$result" | tail -n 2 | cut -c 1-160

say "The history, as redis-cli shows it: LRANGE agent:{$session}:history 0 -1"
redis-cli -s "$work/redis.sock" LRANGE "agent:{$session}:history" 0 -1 | cut -c 1-240

say "The model's reasoning, which goes back to it: LRANGE agent:{$session}:reasoning 0 -1"
redis-cli -s "$work/redis.sock" LRANGE "agent:{$session}:reasoning" 0 -1 | cut -c 1-240

say "The journal of its steps: LRANGE agent:{$session}:steps 0 -1"
redis-cli -s "$work/redis.sock" LRANGE "agent:{$session}:steps" 0 -1

[ "$(printf '%s\n' "${served[@]}" | sort -u | wc -l)" -eq 2 ] || fail "one replica served everything"
say "Served by: ${served[*]}. $killed was killed in mid-stream; nothing was lost. Everything is stopped now."
