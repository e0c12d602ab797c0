#!/bin/sh
# sentinel.sh NAME MASTER: runs one of three sentinels that watch MASTER under the name NAME. Its
# state is in /data.
set -eu

if [ ! -f /data/sentinel.conf ]; then
    # Sentinels use names, because containers may have other addresses after a restart.
    printf '%s\n' 'port 26379' 'dir /data' 'protected-mode no' 'sentinel resolve-hostnames yes' 'sentinel announce-hostnames yes' \
        "sentinel announce-ip $(hostname)" "sentinel monitor $1 $2 6379 2" "sentinel down-after-milliseconds $1 5000" \
        "sentinel failover-timeout $1 30000" "sentinel parallel-syncs $1 1" >/data/sentinel.conf.new
    mv /data/sentinel.conf.new /data/sentinel.conf
fi
exec redis-server /data/sentinel.conf --sentinel
