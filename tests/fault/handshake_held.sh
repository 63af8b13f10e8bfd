#!/usr/bin/env bash
# Clients that hold a TLS handshake half-open, or have said nothing yet, keep neither a hub nor an edge from ending: the time that closing
# has is two seconds, and a slow machine gets some more.
source "$(dirname "$0")/support.bash"

# hold ADDRESS PORT…: on each port one connection with the first half of a ClientHello, and a silent one. Closed when this script ends.
hold() {
    local address=$1 fd
    shift
    for port in "$@"; do
        exec {fd}<>"/dev/tcp/$address/$port"
        printf '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03half' >&$fd
        exec {fd}<>"/dev/tcp/$address/$port"
    done
    sleep 0.3 # they are accepted
}

# ends NAME PID: it ends well, in time.
ends() {
    local code=0 from=$EPOCHREALTIME
    kill -TERM "$2"
    timeout 5 tail --pid="$2" -f /dev/null || { echo "$1 has not ended within 5 s"; return 1; }
    wait "$2" || code=$?
    echo "$1 ended $(((${EPOCHREALTIME/./} - ${from/./}) / 1000)) ms after SIGTERM, code $code"
    [ $code = 0 ]
}

make_hub
start_hub
wait_for $hub_ready
make_edge
start_edge
wait_for $edge_ready
hold $edge 443 5671 8883
ends "edge" "$edge_pid"
edge_pid=
hold $hub 443 5671 8883
ends "hub" "$hub_pid"
hub_pid=
