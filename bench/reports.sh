#!/usr/bin/env bash
# Durable reported properties over MQTT and TLS: patches of two properties, each answered when it is stored; with one in flight on each
# connection, and with several. There is no peer; what a patch costs the hub of processor time is what can be compared between machines.
source "$(dirname "$0")/support.bash"
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-5} connections=50

make_hub
start_hub
wait_for "$hub_ready"
"$bin/bench-devices" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --count $connections --key "$key"
echo "reports: $connections connections, $seconds s each; patches a second (% of a processor: server, client), µs of the server for one"
members=
for in_flight in 1 10 50; do
    rates=() costs=()
    for _ in $(seq "$rounds"); do
        line=$(measured "$hub_pid" "$bin/bench-mqtt_load" --host "$hub" --port 8883 --ca "$SKERRY_CA_FILE" --connections $connections \
            --in-flight $in_flight --seconds "$seconds" --hub "$hub" --key "$key" --reports)
        rates+=("$(field rate <<<"$line")")
        costs+=("$(calculate %.1f "1e6 * $(field server_busy <<<"$line") / $(field rate <<<"$line")")")
    done
    printf '  %2s in flight on each: %8s (%s µs)   last: %s\n' "$in_flight" "$(median "${rates[@]}")" "$(median "${costs[@]}")" "$(shares "$line")"
    members+="\"in_flight_$in_flight\": {\"per_second\": [$(IFS=, && echo "${rates[*]}")], \"server_us\": $(median "${costs[@]}")},
  "
done
write_result reports "\"connections\": $connections,
  ${members%,*}"
