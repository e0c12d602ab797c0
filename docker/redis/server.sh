#!/bin/sh
# server.sh [OPTION VALUE ...]: runs a Redis whose role may change. The options apply at the first
# start only: Sentinel rewrites the settings when it promotes a replica, and a restart must not undo
# that.
set -eu

if [ ! -f /data/redis.conf ]; then
    {
        # Redis flushes its file once a second. Replicas cover the loss of a machine; see
        # docs/failover.md.
        printf '%s\n' 'dir /data' 'appendonly yes' 'appendfsync everysec' 'save ""' 'maxmemory-policy noeviction' 'protected-mode no'
        while [ $# -gt 1 ]; do
            printf '%s %s\n' "$1" "$2"
            shift 2
        done
    } >/data/redis.conf.new
    mv /data/redis.conf.new /data/redis.conf
fi
exec redis-server /data/redis.conf
