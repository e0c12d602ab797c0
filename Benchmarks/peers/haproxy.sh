#!/usr/bin/env bash
# HAProxy, which only forwards bytes between the client and the model. It shows what any process between
# the two costs on this machine:
#   Benchmarks/run.sh --only paced --server Benchmarks/peers/haproxy.sh
# It has no sessions, no log and no Redis, and opens one connection to the model for each connection of
# a client.
set -euo pipefail
export PATH=$PATH:/usr/sbin
exec haproxy -db -f <(
    cat << CONFIGURATION
global
    nbthread 2
    maxconn 4000
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen relay
    bind 127.0.0.1:$PORT
    server model ${AGENT_RUNTIME__LLM_PROXY_URL#http://}
CONFIGURATION
)
