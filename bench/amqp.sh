#!/usr/bin/env bash
# Durable telemetry of 1,000 devices over one multiplexed AMQP connection, the memory that each takes, and reading one partition of the
# event stream from the page cache, alone and beside ingest. The peer is our own MQTT head in the same run (there is no other AMQP 1.0
# server that stores what it acknowledges). ROUNDS and SECONDS_EACH change how often and how long.
source "$(dirname "$0")/support.bash"
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-5} devices=1000 in_flight=20 size=256 events=500000

make_hub
sed -i "s/^partitions = .*/partitions = 1/" "$dir/hub/hub.toml"
start_hub
wait_for "$hub_ready"
"$bin/bench-devices" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --count $devices --key "$key"
policy_key=$(sed 's/.*SharedAccessKey=//' <<<"$SKERRY_CONNECTION_STRING")
policy=$(sed 's/.*SharedAccessKeyName=\([^;]*\).*/\1/' <<<"$SKERRY_CONNECTION_STRING")
entity=$(sed -n 's/^name = "\(.*\)"/\1/p' "$dir/hub/hub.toml" | head -n 1)

amqp=("$bin/bench-amqp_load" --host "$hub" --ca "$SKERRY_CA_FILE" --devices $devices --in-flight $in_flight --size $size)
reader=("${amqp[@]}" --key "$policy_key" --policy "$policy" --read "$entity")
send() { measured "$hub_pid" "${amqp[@]}" --key "$key" --seconds "$seconds"; }
read_events() { measured "$hub_pid" "${reader[@]}" --count $events; }
mqtt() {
    measured "$hub_pid" "$bin/bench-mqtt_load" --host "$hub" --port 8883 --ca "$SKERRY_CA_FILE" --hub "$hub" --key "$key" \
        --connections 50 --in-flight 50 --size $size --seconds "$seconds"
}

end() { # end PID
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

echo "amqp: $devices devices on one connection × $in_flight in flight × $size bytes, TLS, $seconds s each; messages a second (% of a processor: server, client)"
printf '%8s %22s %22s %22s\n' round "amqp, durable" "mqtt, durable" "events read"
over_amqp=() over_mqtt=() reading=()
for round in $(seq "$rounds"); do
    line=$(send) other=$(mqtt) third=$(read_events)
    over_amqp+=("$(field rate <<<"$line")") over_mqtt+=("$(field rate <<<"$other")") reading+=("$(field rate <<<"$third")")
    printf '%8s %22s %22s %22s\n' "$round" "$(shares "$line")" "$(shares "$other")" "$(shares "$third")"
done
a=$(median "${over_amqp[@]}") m=$(median "${over_mqtt[@]}") r=$(median "${reading[@]}")
printf '%8s %22s %22s %22s\n' median "$a" "$m" "$r"

# A reader far behind, while devices send, and none, by turns: what it costs them.
without=() with=()
for round in $(seq "$rounds"); do
    without+=("$(mqtt | field rate)")
    "${reader[@]}" --count 100000000 --rate 1000 >/dev/null 2>&1 &
    lagging=$!
    with+=("$(mqtt | field rate)")
    end "$lagging"
done
alone=$(median "${without[@]}") beside=$(median "${with[@]}")
slower=$(calculate %.1f "100 * (1 - $beside / $alone)")
echo "ingest over MQTT alone $alone, beside a reader that lags $beside: $slower % slower"

# What a device costs, in a process that has not yet had memory for anything else.
end "$hub_pid"
start_hub
wait_for "$hub_ready"
before=$(pss_kb "$hub_pid")
"${amqp[@]}" --key "$key" --seconds 600 --idle >"$dir/idle" &
idle=$!
until [ -s "$dir/idle" ]; do sleep 0.1; done
sleep 1
per_device=$(calculate %.2f "($(pss_kb "$hub_pid") - $before) / $devices")
end "$idle"
echo "memory: $per_device KB a device (token, link, session)"
write_result amqp "\"load\": {\"devices\": $devices, \"in_flight\": $in_flight, \"bytes\": $size, \"seconds\": $seconds},
  \"amqp_per_second\": [$(IFS=, && echo "${over_amqp[*]}")],
  \"mqtt_per_second\": [$(IFS=, && echo "${over_mqtt[*]}")],
  \"events_read_per_second\": [$(IFS=, && echo "${reading[*]}")],
  \"medians\": {\"amqp\": $a, \"mqtt\": $m, \"events_read\": $r},
  \"lagging_reader\": {\"ingest_alone\": $alone, \"ingest_beside\": $beside, \"slower_percent\": $slower},
  \"kb_a_device\": $per_device"
