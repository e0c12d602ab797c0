#!/usr/bin/env bash
# Runs the Python server for comparison, as the benchmarks run agent-server:
#   Benchmarks/run.sh --only turns --server Benchmarks/peers/fastapi.sh
# pip installs its packages from PyPI, into a virtual environment in the benchmarks' build directory.
set -euo pipefail
cd "$(dirname "$0")"
venv=../.build/fastapi
[ -x $venv/bin/uvicorn ] || {
    python3 -m venv $venv
    $venv/bin/pip install --quiet "fastapi==0.115.*" "uvicorn[standard]==0.32.*" "httpx==0.27.*" "redis[hiredis]==5.2.*"
}
exec $venv/bin/uvicorn fastapi_agent:app --host 127.0.0.1 --port "$PORT" --log-level warning --no-access-log
