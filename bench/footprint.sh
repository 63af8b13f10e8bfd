#!/usr/bin/env bash
# Memory (PSS): the hub idle; the edge's roles with three modules and ten leaf devices connected; a TLS connection at CONNECTIONS (5,000) idle ones,
# beside Mosquitto.
source "$(dirname "$0")/support.bash"
# A process gives back what only its start has needed after a quarter of a minute.
settled_s=17
connections=${CONNECTIONS:-5000}

make_hub
start_hub
wait_for "$hub_ready"
sleep $settled_s
hub_idle=$(pss_kb "$hub_pid" $(pgrep -P "$hub_pid")) # with the reader of its keys

# ---- the edge: roles, modules, and a leaf that has sent something ----

routes='"sim": "FROM /messages/modules/sim/outputs/* INTO BrokeredEndpoint(\"/modules/filter/inputs/in\")",
    "filter": "FROM /messages/modules/filter/outputs/* INTO $upstream",
    "leaf": "FROM /messages/* WHERE NOT IS_DEFINED($connectionModuleId) INTO $upstream"'
twins='"sim": {"properties.desired": {"SendInterval": 0.2}}, "filter": {"properties.desired": {"TemperatureThreshold": 0}}'
leaves=10
make_edge "$(deployed sim "" "$bin/skerry-sim")" "$(deployed filter "" "$bin/skerry-filter")" "$(deployed second "" "$bin/skerry-sim")"
scope=$("$bin/skerry" device show edge --output json | sed -n 's/.*"deviceScope": *"\([^"]*\)".*/\1/p')
"$bin/bench-devices" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --count $leaves --key "$key" --scope "$scope"
start_edge
wait_for "$edge_ready"
until grep -q 'deployment version' "$dir/edge.log"; do sleep 0.1; done # before it there are no routes, and nobody may send
"$bin/bench-mqtt_load" --host $edge --port 8883 --ca "$dir/edge/certificates/edge-ca.pem" --connections $leaves --in-flight 10 --seconds 1 \
    --hub $hub --key "$key" >/dev/null
"$bin/bench-mqtt_load" --host $edge --port 8883 --ca "$dir/edge/certificates/edge-ca.pem" --connections $leaves --idle --seconds 600 \
    --hub $hub --key "$key" >"$dir/leaf" &
leaf_pid=$!
other_pids="$other_pids $leaf_pid"

forwarded() { curl -sf http://$edge:9600/metrics | awk '/^edgehub_messages_sent_total/ && !/to="upstream"/ { n += $2 } END { print n + 0 }'; }
for _ in $(seq 300); do
    [ -s "$dir/leaf" ] && [ "$(forwarded)" -gt 50 ] && break
    sleep 0.1
done
[ "$(forwarded)" -gt 50 ] || { echo "the modules do not talk"; exit 1; }
sleep $settled_s

declare -A part
roles=0
for pid in $edge_pid $(pgrep -P "$edge_pid"); do
    name=$(cat "/proc/$pid/comm")
    part[$name]=$(pss_kb "$pid")
    roles=$((roles + part[$name]))
done
agent=$(pgrep -P "$edge_pid" skerry-agent)
sim=$(pss_kb "$(pgrep -P "$agent" skerry-sim | head -n 1)")
filter=$(pss_kb "$(pgrep -P "$agent" skerry-filter)")
# Ended before the hub's connections are counted.
kill "$leaf_pid" "$edge_pid"
wait "$leaf_pid" "$edge_pid" || true
edge_pid=

# ---- connections: the growth of a server's memory, divided ----

"$bin/bench-devices" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --count "$connections" --key "$key"
growth() { # growth PID PORT ARGUMENT…: bytes a connection
    local pid=$1 port=$2 before after load
    shift 2
    before=$(pss_kb "$pid")
    "$bin/bench-mqtt_load" --host "$hub" --port "$port" --ca "$SKERRY_CA_FILE" --connections "$connections" --idle --seconds 600 "$@" \
        >"$dir/connected" &
    load=$!
    other_pids="$other_pids $load"
    until [ -s "$dir/connected" ]; do
        kill -0 $load || { echo "the connections were not made" >&2; return 1; }
        sleep 0.1
    done
    sleep 1
    after=$(pss_kb "$pid")
    kill $load
    wait $load || true
    : >"$dir/connected"
    echo $(((after - before) * 1024 / connections))
}
start_mosquitto
: >"$dir/connected"
ours=$(growth "$hub_pid" 8883 --hub "$hub" --key "$key")
theirs=$(growth "$mosquitto_pid" 8884)

echo "footprint: PSS"
printf '  %-44s %8s kB\n' "skerry-hub, idle" "$hub_idle"
printf '  %-44s %8s kB\n' "skerry-edge: roles, 3 modules, 10 leaf devices" "$roles"
for name in "${!part[@]}"; do printf '      %-40s %8s kB\n' "$name" "${part[$name]}"; done | sort
printf '  %-44s %8s kB\n' "modules: skerry-sim" "$sim" "modules: skerry-filter" "$filter"
printf '  %-44s %8s bytes\n' "skerry-hub, a TLS connection of $connections" "$ours" "mosquitto, the same" "$theirs"
write_result footprint "\"hub_idle_kb\": $hub_idle,
  \"edge_roles_kb\": $roles,
  \"edge_kb\": {$(for name in "${!part[@]}"; do printf '"%s": %s\n' "$name" "${part[$name]}"; done | sort | paste -sd, | sed 's/,/, /g')},
  \"modules_kb\": {\"skerry-sim\": $sim, \"skerry-filter\": $filter},
  \"connections\": $connections,
  \"bytes_a_connection\": {\"skerry_hub\": $ours, \"mosquitto\": $theirs},
  \"ratio\": $(calculate %.2f "$theirs / $ours")"
