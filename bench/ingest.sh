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

load() { # load PORT ARGUMENT…: messages a second
    local port=$1
    shift
    "$bin/bench-mqtt_load" --host "$hub" --port "$port" --ca "$SKERRY_CA_FILE" --connections $connections --in-flight $in_flight \
        --size $size --seconds "$seconds" "$@" | field rate
}

echo "ingest: $connections connections × $in_flight in flight × $size bytes of JSON, QoS 1 over TLS, $seconds s each; messages a second"
printf '%8s %16s %16s\n' round "skerry-hub" "mosquitto"
ours=() theirs=()
for round in $(seq "$rounds"); do
    ours+=("$(load 8883 --hub "$hub" --key "$key")")
    theirs+=("$(load 8884)")
    printf '%8s %16s %16s\n' "$round" "${ours[-1]}" "${theirs[-1]}"
done
a=$(median "${ours[@]}") b=$(median "${theirs[@]}")
ratio=$(calculate %.2f "$a / $b")
printf '%8s %16s %16s   ratio %s\n' median "$a" "$b" "$ratio"
write_result ingest "\"load\": {\"connections\": $connections, \"in_flight\": $in_flight, \"bytes\": $size, \"seconds\": $seconds},
  \"skerry_hub_per_second\": [$(IFS=, && echo "${ours[*]}")],
  \"mosquitto_per_second\": [$(IFS=, && echo "${theirs[*]}")],
  \"medians\": {\"skerry_hub\": $a, \"mosquitto\": $b},
  \"ratio\": $ratio"
