#!/bin/sh
# server.sh [OPTION VALUE ...]: a Redis whose role may change. Its settings begin as given and are then its own: Sentinel writes them
# when it makes a master of a replica, and a restart must not take that back.
set -eu

if [ ! -f /data/redis.conf ]; then
    {
        # Every write is on the disk before it is acknowledged by more than one server; see docs/failover.md.
        printf '%s\n' 'dir /data' 'appendonly yes' 'appendfsync everysec' 'save ""' 'maxmemory-policy noeviction' 'protected-mode no'
        while [ $# -gt 1 ]; do
            printf '%s %s\n' "$1" "$2"
            shift 2
        done
    } >/data/redis.conf.new
    mv /data/redis.conf.new /data/redis.conf
fi
exec redis-server /data/redis.conf
