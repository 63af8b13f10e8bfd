#!/usr/bin/env bash
# The edge hub: leaf devices' durable telemetry while the cloud is away, beside Mosquitto that stores nothing; how fast the backlog of MESSAGES
# (1,000,000) goes up when the cloud is back; a message's way from module to module at 1,000 a second; what the roles need of memory afterwards.
source "$(dirname "$0")/support.bash"
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-5} messages=${MESSAGES:-1000000} connections=50 in_flight=50 size=256

make_hub
start_hub
wait_for "$hub_ready"
routes='"leaf": "FROM /messages/* WHERE NOT IS_DEFINED($connectionModuleId) INTO $upstream",
    "inside": "FROM /messages/modules/from/outputs/* INTO BrokeredEndpoint(\"/modules/to/inputs/in\")"'
make_edge
for module in from to; do "$bin/skerry" module add edge/$module >/dev/null; done
scope=$("$bin/skerry" device show edge --output json | sed -n 's/.*"deviceScope": *"\([^"]*\)".*/\1/p')
"$bin/bench-devices" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --count $connections --key "$key" --scope "$scope"
start_edge
wait_for "$edge_ready"
edge_hub=$(pgrep -P "$edge_pid" skerry-edgehub) ca=$dir/edge/certificates/edge-ca.pem
start_mosquitto
metric() { curl -sf "http://$edge:9600/metrics" | awk -v name="$1" 'index($1, name) == 1 { n += $2 } END { printf "%d\n", n }'; }
load() { # load PID HOST PORT SECONDS ARGUMENT…
    local pid=$1 host=$2 port=$3 long=$4 ca=$5
    shift 5
    measured "$pid" "$bin/bench-mqtt_load" --host "$host" --port "$port" --ca "$ca" --connections $connections --in-flight $in_flight --size $size \
        --seconds "$long" "$@"
}
load "$edge_hub" $edge 8883 1 "$ca" --hub $hub --key "$key" >/dev/null # the scope is known

# ---- module to module ----

from=$("$bin/skerry" module connection-string edge/from --gateway $edge) to=$("$bin/skerry" module connection-string edge/to --gateway $edge)
way=$("$bin/bench-inputs" --from "$from" --to "$to" --ca "$ca" --rate 1000 --seconds "$seconds")
echo "edge: from module to module, 1,000 a second: p50 $(field p50_ms <<<"$way") ms, p99 $(field p99_ms <<<"$way") ms, longest $(field longest_ms <<<"$way") ms"

# ---- leaf to edge, the cloud away ----

kill "$hub_pid"
wait "$hub_pid" || true
hub_pid=
echo "edge: $connections leaf devices × $in_flight in flight × $size bytes of JSON, QoS 1 over TLS, $seconds s each, the cloud away; messages a second (% of a processor: server, client)"
printf '%8s %22s %22s\n' round "skerry-edge" "mosquitto"
ours=() theirs=() busy=()
for round in $(seq "$rounds"); do
    line=$(load "$edge_hub" $edge 8883 "$seconds" "$ca" --hub $hub --key "$key")
    other=$(load "$mosquitto_pid" $hub 8884 "$seconds" "$SKERRY_CA_FILE")
    ours+=("$(field rate <<<"$line")") theirs+=("$(field rate <<<"$other")") busy+=("$(field server_busy <<<"$other")")
    printf '%8s %22s %22s\n' "$round" "$(shares "$line")" "$(shares "$other")"
done
a=$(median "${ours[@]}") b=$(median "${theirs[@]}")
ratio=$(calculate %.2f "$a / $b")
printf '%8s %22s %22s   ratio %s, which %s\n' median "$a" "$b" "$ratio" "$(counts "$(median "${busy[@]}")")"

# ---- the backlog goes up ----

while [ "$(metric 'edgehub_queue_length{')" -lt "$messages" ]; do load "$edge_hub" $edge 8883 1 "$ca" --hub $hub --key "$key" >/dev/null; done
backlog=$(metric 'edgehub_queue_length{') before=$(metric 'edgehub_messages_sent_total{')
away_kb=$(pss_kb "$edge_hub")
start_hub
wait_for "$hub_ready"
until [ "$(metric 'edgehub_messages_sent_total{')" -gt "$before" ]; do sleep 0.02; done
began=$EPOCHREALTIME first=$(metric 'edgehub_messages_sent_total{') edge_ticks=$(cpu_ticks "$edge_hub") hub_ticks=$(cpu_ticks "$hub_pid")
while [ "$(metric 'edgehub_queue_length{')" -gt 0 ]; do sleep 0.1; done
took=$(calculate %.3f "$EPOCHREALTIME - $began")
drained=$(($(metric 'edgehub_messages_sent_total{') - first))
rate=$(calculate %.0f "$drained / $took")
tick=$(getconf CLK_TCK)
edge_busy=$(calculate %.2f "($(cpu_ticks "$edge_hub") - $edge_ticks) / $tick / $took") hub_busy=$(calculate %.2f "($(cpu_ticks "$hub_pid") - $hub_ticks) / $tick / $took")
echo "edge: $drained messages of a backlog of $backlog went up in $took s: $rate a second (% of a processor: edge hub $(percent "$edge_busy"), hub $(percent "$hub_busy"))"
sleep 17 # memory that only the work has needed goes back
after_kb=$(pss_kb "$edge_hub")
echo "edge: the edge hub has $away_kb kB with the backlog, $after_kb kB after it"
write_result edge "\"load\": {\"connections\": $connections, \"in_flight\": $in_flight, \"bytes\": $size, \"seconds\": $seconds},
  \"skerry_edge_per_second\": [$(IFS=, && echo "${ours[*]}")],
  \"mosquitto_per_second\": [$(IFS=, && echo "${theirs[*]}")],
  \"ratio\": $ratio,
  \"module_to_module\": $way,
  \"drain\": {\"backlog\": $backlog, \"per_second\": $rate, \"edge_hub_busy\": $edge_busy, \"hub_busy\": $hub_busy},
  \"edge_hub_kb\": {\"with_backlog\": $away_kb, \"after\": $after_kb}"
