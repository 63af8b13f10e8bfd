# Shared by tests that do what documents tell people to do: sourced in a place of its own, where /tmp may be filled. Runs the shell lines of a
# document as they stand there; what a person would do between them is here.

pids=()
finish() {
    local code=$?
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    [ $code = 0 ] || tail -n 60 /tmp/out /tmp/err || true
    exit $code
}
trap finish EXIT

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
        -e 's/^skerry events watch$/command skerry events watch --output jsonl >>\/tmp\/watched \& pids+=($!)/'
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

