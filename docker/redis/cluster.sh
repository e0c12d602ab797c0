#!/bin/sh
# cluster.sh NODE ...: makes a Cluster of six nodes, unless they are one, and waits until it is told to stop.
set -eu

first=${1%:*}
until redis-cli -h "$first" cluster info | grep -q 'cluster_known_nodes:6'; do
    redis-cli --cluster create "$@" --cluster-replicas 1 --cluster-yes || true
    sleep 2
done
echo "the Cluster has its nodes"
trap 'exit 0' TERM INT
while true; do
    sleep 3600 &
    wait $!
done
