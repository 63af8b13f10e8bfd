# Shared by the scripts: sourced, not run. Installs what is lacking on a Debian 12 and finds the repository.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"

say() { printf '%s\n' "$*" >&2; }

# need PACKAGE…: installs Debian packages that are not there yet.
need() {
    local missing=()
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "installing: ${missing[*]}"
    local sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    export DEBIAN_FRONTEND=noninteractive
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

need_build() {
    need gcc g++ cmake ninja-build ccache libc6-dev libuv1-dev libssl-dev libjansson-dev libsqlite3-dev libwslay-dev \
        node-llhttp libtomlplusplus-dev libcmocka-dev zlib1g-dev libsnappy-dev duktape-dev libminizip-dev libyaml-dev libtss2-dev libp11-kit-dev
}

# The portal's libraries and tools.
need_portal() {
    need_node
    [ portal/node_modules/.package-lock.json -nt portal/package-lock.json ] || (cd portal && npm ci --silent --no-audit --no-fund)
}

# The portal as build/portal/files.inc, which the next build of a hub takes in.
build_portal() {
    need_portal || return
    local made=build/portal/files.inc
    [ -e "$made" ] && [ -z "$(find portal -path portal/node_modules -prune -o -newer "$made" -print -quit)" ] && return
    (cd portal && npm run --silent build >/dev/null)
}
# For a hub that works without it, too: where there is no Node.js, or PORTAL=off.
try_portal() {
    [ "${PORTAL:-on}" != off ] && build_portal || say "the hub is built without its portal, which needs Node.js and npm"
}

# What stands for hardware that holds keys, in tests.
need_keys() {
    need swtpm softhsm2 openssl
}

# Node itself may come from elsewhere than a package.
need_node() {
    command -v npm >/dev/null || need nodejs npm
}

# A container engine, and a registry to pull from (tests/containers).
need_podman() {
    need podman runc netavark aardvark-dns iptables iproute2 docker-registry apache2-utils busybox-static curl jq procps python3 unzip
}

# build PRESET [TARGET…]
build() {
    local preset=$1
    shift
    if ! cmp -s CMakePresets.json "build/$preset/configured-by.json"; then # ninja does not look at presets
        cmake --preset "$preset" >/dev/null
        cp CMakePresets.json "build/$preset/configured-by.json"
    fi
    ninja -C "build/$preset" -j "${JOBS:-$(nproc)}" "$@" | grep -v '^ninja: \(Entering\|no work\)' >&2 || [ "${PIPESTATUS[0]}" = 0 ]
}
