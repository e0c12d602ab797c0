#!/usr/bin/env bash
# healthcheck.sh PATH: succeeds if the server in this container answers GET PATH with 200. The image
# has bash, but no curl.
set -euo pipefail

exec 3<>"/dev/tcp/127.0.0.1/${PORT:-8001}"
printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "${1:-/health/live}" >&3
IFS= read -r -t 4 status <&3
status=${status%$'\r'}
echo "${1:-/health/live}: $status"
[[ $status == 'HTTP/1.1 200 '* ]]
