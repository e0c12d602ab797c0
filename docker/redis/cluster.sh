#!/bin/sh
# cluster.sh NODE ...: makes a Cluster of six nodes, unless they are one, and waits for SIGTERM.
set -eu

# Succeeds if any node is part of a Cluster of six. It asks all of them, because the first one may
# be lost.
is_made() {
    for node in "$@"; do
        if timeout 1 redis-cli -h "${node%:*}" cluster info | grep -q 'cluster_known_nodes:6'; then return 0; fi
    done
    return 1
}

until is_made "$@"; do
    redis-cli --cluster create "$@" --cluster-replicas 1 --cluster-yes || true
    sleep 2
done
echo "the Cluster has its nodes"
trap 'exit 0' TERM INT
while true; do
    sleep 3600 &
    wait $!
done
