# Shared by tests that do what documents tell people to do: runs the shell lines of a document as they stand there, in a place of their own,
# where /tmp may be filled; what a person would do between them is here.

# alone BIN: goes on in a network, processes and a /tmp of its own (needs root), in a clone that has been built: $root is the tree, $bin its
# programs. What must be installed is installed before, where is_alone says no.
is_alone() { [ "${ALONE:-}" ]; }
alone() {
    root=$(cd "$(dirname "$0")/../.." && pwd) bin=$(cd "$1" && pwd)
    is_alone || exec unshare --mount --net --pid --fork --mount-proc --propagation private env ALONE=yes "$0" "$bin"
    ip link set lo up
    mount -t tmpfs alone /mnt # the tree may stand below /tmp, which is about to be another
    mkdir /mnt/tree
    mount --bind "$root" /mnt/tree
    bin=/mnt/tree${bin#"$root"} root=/mnt/tree
    mount -t tmpfs alone /tmp
    export HOME=/tmp/home PATH=/usr/bin:$PATH
    mkdir -p $HOME /tmp/clone/script /tmp/clone/build/release
    printf '#!/bin/sh\n' >/tmp/clone/script/build
    chmod +x /tmp/clone/script/build
    ln -s "$bin" /tmp/clone/build/release/bin
    cd /tmp/clone
    trap finish EXIT
}

pids=()
finish() {
    local code=$?
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    [ $code = 0 ] || tail -n 60 /tmp/out /tmp/err || true
    exit $code
}

# The shell blocks of a document's part: from a heading to the next of its kind, or all.
blocks() { # blocks FILE [HEADING]
    awk -v heading="${2:-}" '
        /^## / { inside = heading == "" || $0 == heading }
        /^```/ { if (shell) { shell = 0; next } shell = $0 == "```sh" && inside; next }
        shell' "$1"
}

# What a person does between the lines: waits until a server is there, copies the key that init printed, looks on.
human() {
    sed -E -e "s/SharedAccessKey=…'/SharedAccessKey='\"\$(key)\"/" \
        -e 's/^(skerry-(hub|edge) run .*&)$/heard=$(heard)\ncommand \1\npids+=($!); listening/' \
        -e 's/^(podman system service .*unix:\/\/([^ ]+) &)$/\1\npids+=($!); patiently curl -sf --unix-socket \2 http:\/\/engine\/_ping/' \
        -e 's/^skerry events watch$/command skerry events watch --output jsonl >>\/tmp\/watched \& pids+=($!)/' \
        -e 's/^(skerry sim run [^#]*)(#.*)?$/command \1 \& pids+=($!)/'
}
key() { grep -m1 iothubowner /tmp/out | sed 's/.*SharedAccessKey=//'; }
heard() { grep -c "listening on" /tmp/err || true; }
listening() { patiently eval '[ "$(heard)" -gt "$heard" ]'; } # another server listens than before
patiently() { # patiently COMMAND…: until it works, for a minute; what the vain tries said is forgotten
    local tries=120
    until "$@" >/tmp/try.out 2>/tmp/try.err; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || { cat /tmp/try.err >&2 && echo "in vain: $*" >&2 && return 1; }
        sleep 0.5
    done
    cat /tmp/try.err >&2
    cat /tmp/try.out
}
skerry() { # a person tries again while a module is still starting
    case "$1 $2" in
    "method call" | "twin update") patiently command skerry "$@" ;;
    *) command skerry "$@" ;;
    esac
}
skerry-edge() {
    case "$1" in
    check) patiently command skerry-edge "$@" ;;
    *) command skerry-edge "$@" ;;
    esac
}
follow() { # follow FILE [HEADING]
    blocks "$@" | human >/tmp/lines
    [ -s /tmp/lines ] || { echo "$1 has no shell lines there" >&2; exit 1; }
    : >/tmp/out >/tmp/err >/tmp/watched
    echo "== $1" >&2
    # shellcheck disable=SC1091
    . /tmp/lines >/tmp/out 2>/tmp/err
}
stop_all() {
    kill "${pids[@]}" 2>/dev/null || true
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    pids=()
}
refused() { # refused TEXT COMMAND…: it fails and says so
    local text=$1 said
    shift
    if said=$("$@" 2>&1) || ! grep -q "$text" <<<"$said"; then
        echo "$* said: $said" >&2
        return 1
    fi
}

