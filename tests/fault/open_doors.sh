#!/usr/bin/env bash
# Attacks on a hub and on an edge hub, each by one client: without a login, with the login of a device, or (at the hub) with that of its owner. While
# one lasts, both live on and serve the devices of others. An attack is a row of tests/fault/attack.c; ATTACKS, LOGINS and OWNERS name some of
# them, SECONDS_EACH says how long each takes.
source "$(dirname "$0")/support.bash"
seconds=${SECONDS_EACH:-2}
attacks=${ATTACKS-http-get http-get-unread http-body http-forged blob-forged mqtt-ping-unknown amqp-begin amqp-attach amqp-nameless amqp-frames tls-keyupdate tls-keyupdate-data tls-renegotiate tls-chain idle}
logins=${LOGINS-mqtt-ping mqtt-ping-unread mqtt-subscribe-unread mqtt-twin mqtt-twin-unread mqtt-qos0 mqtt-qos1-unread amqp-links amqp-sessions file-upload}
owners=${OWNERS-events-unread query query-unread consumer-group job route-explain twin-tag method-unread c2d-purge}
memory_max_kb=$((64 * 1024))

resident_kb() { # resident_kb PID…
    for pid in "$@"; do sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$pid/status"; done | sort -n | tail -n 1
}

family() { # family PID: it and its children
    echo "$1" $(cat "/proc/$1/task/$1/children")
}

# attack NAME PID READY ADDRESS CA ARGUMENT…: the server at ADDRESS goes on while it lasts, and takes no more than its share of memory.
attack() {
    local name=$1 pid=$2 ready=$3 to=$4 ca=$5 before base attacker slow=0
    shift 5
    local alone=$(family "$pid")
    base=$(resident_kb $alone)
    "$bin/fault-attack" "$name" --to "$to" --ca "$ca" --seconds "$seconds" "$@" >"$dir/attack.out" 2>>"$dir/attack.log" &
    attacker=$!
    other_pids=$attacker
    sleep 1
    before=$(acknowledged)
    while kill -0 "$attacker" 2>/dev/null; do
        curl -sf -m 2 -o /dev/null "$ready" || slow=$((slow + 1))
        sleep 0.2
    done
    wait "$attacker" || { cat "$dir/attack.log"; return 1; }
    other_pids=
    local after now peak
    after=$(acknowledged) now=$(family "$pid")
    peak=$(for p in $now; do sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$p/status"; done | sort -n | tail -n 1)
    for p in $now; do echo 5 >"/proc/$p/clear_refs"; done # the next peak is the next attack's
    echo "$name on $to: $((after - before)) acknowledged meanwhile, $slow unanswered looks, $(((peak - base) / 1024)) MB more; $(cat "$dir/attack.out")"
    [ "$now" = "$alone" ] || { echo "a process has died"; return 1; }
    [ $slow = 0 ] || { echo "$ready did not answer in time"; return 1; }
    [ $((after - before)) -gt 0 ] || { echo "nobody else was served"; return 1; }
    [ $((peak - base)) -lt $memory_max_kb ] || { echo "it took too much memory"; return 1; }
}

ulimit -n "$(ulimit -H -n)"
make_hub
start_hub
wait_for $hub_ready
"$bin/skerry" device add attacker >/dev/null
attacker=$("$bin/skerry" device connection-string attacker)
start_load "$dir/hub/ca.pem" --
under_load $hub_ready
for name in $attacks; do attack "$name" "$hub_pid" "$hub_ready" "$hub:8883" "$dir/hub/ca.pem"; done
for name in $logins; do attack "$name" "$hub_pid" "$hub_ready" "$hub:8883" "$dir/hub/ca.pem" --device "$attacker"; done
for name in $owners; do attack "$name" "$hub_pid" "$hub_ready" "$hub:8883" "$dir/hub/ca.pem" --service "$SKERRY_CONNECTION_STRING"; done
reckon "hub attacked"

make_edge
start_edge
wait_for $edge_ready
rm "$dir/devices" "$dir/progress"
"$bin/skerry" device add leaf-attacker --parent edge >/dev/null
attacker=$("$bin/skerry" device connection-string leaf-attacker --gateway $edge)
load_name=leaf start_load "$dir/edge/certificates/edge-ca.pem" --parent edge -- --gateway $edge
under_load $edge_ready
for name in $attacks; do attack "$name" "$edge_pid" "$edge_ready" "$edge:8883" "$dir/edge/certificates/edge-ca.pem"; done
for name in $logins; do attack "$name" "$edge_pid" "$edge_ready" "$edge:8883" "$dir/edge/certificates/edge-ca.pem" --device "$attacker"; done
reckon "edge hub attacked"
