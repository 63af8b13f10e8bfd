#!/usr/bin/env bash
# Durable QoS 1 telemetry over TLS, authenticated by SAS, with one route on a body path, beside Mosquitto that stores nothing: the same
# load generator, by turns. ROUNDS and SECONDS_EACH change how often and how long.
source "$(dirname "$0")/support.bash"
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-5} connections=50 in_flight=50 size=256

make_hub
cat >>"$dir/hub/hub.toml" <<'CONFIG'
[[hub.route]]
name = "warm"
source = "DeviceMessages"
condition = "$body.temperature > 20"
endpoint = "events"
CONFIG
start_hub
wait_for "$hub_ready"
"$bin/bench-devices" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --count $connections --key "$key"
start_mosquitto

load() { # load PID PORT ARGUMENT…
    local pid=$1 port=$2
    shift 2
    measured "$pid" "$bin/bench-mqtt_load" --host "$hub" --port "$port" --ca "$SKERRY_CA_FILE" --connections $connections \
        --in-flight $in_flight --size $size --seconds "$seconds" "$@"
}

echo "ingest: $connections connections × $in_flight in flight × $size bytes of JSON, QoS 1 over TLS, $seconds s each; messages a second (% of a processor: server, client)"
printf '%8s %22s %22s\n' round "skerry-hub" "mosquitto"
ours=() theirs=() busy=() cost=()
for round in $(seq "$rounds"); do
    line=$(load "$hub_pid" 8883 --hub "$hub" --key "$key")
    other=$(load "$mosquitto_pid" 8884)
    ours+=("$(field rate <<<"$line")") theirs+=("$(field rate <<<"$other")") busy+=("$(field server_busy <<<"$other")")
    cost+=("$(calculate %.3f "1000000 * $(field server_busy <<<"$line") / $(field rate <<<"$line")")")
    printf '%8s %22s %22s\n' "$round" "$(shares "$line")" "$(shares "$other")"
done
a=$(median "${ours[@]}") b=$(median "${theirs[@]}")
ratio=$(calculate %.2f "$a / $b")
printf '%8s %22s %22s   ratio %s, which %s\n' median "$a" "$b" "$ratio" "$(counts "$(median "${busy[@]}")")"
write_result ingest "\"load\": {\"connections\": $connections, \"in_flight\": $in_flight, \"bytes\": $size, \"seconds\": $seconds},
  \"skerry_hub_per_second\": [$(IFS=, && echo "${ours[*]}")],
  \"skerry_hub_us_a_message\": [$(IFS=, && echo "${cost[*]}")],
  \"mosquitto_per_second\": [$(IFS=, && echo "${theirs[*]}")],
  \"mosquitto_busy\": [$(IFS=, && echo "${busy[*]}")],
  \"medians\": {\"skerry_hub\": $a, \"mosquitto\": $b},
  \"ratio\": $ratio"
