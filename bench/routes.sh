#!/usr/bin/env bash
# Route conditions a second on one core, against a message with 256 bytes of JSON; and what a hundred routes cost durable telemetry over
# TLS, beside one, by turns: the hub reads its file again between them.
source "$(dirname "$0")/support.bash"
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-5} connections=50 in_flight=50 size=256
lines=$("$bin/bench-routes" "${SECONDS_EACH:-2}")
echo "routes: evaluations a second on one core"
while read -r line; do
    printf '  %-80s %12s\n' "$(sed 's/.*"condition":"\(.*\)","per_second.*/\1/' <<<"$line")" "$(field per_second <<<"$line")"
done <<<"$lines"

make_hub
cp "$dir/hub/hub.toml" "$dir/plain.toml"
use_routes() { # use_routes COUNT: the last one takes all, the others nothing
    cp "$dir/plain.toml" "$dir/hub/hub.toml"
    local i
    for i in $(seq "$1"); do
        printf '[[hub.route]]\nname = "r%s"\nsource = "DeviceMessages"\ncondition = "$body.%s > %s"\nendpoint = "events"\n' "$i" \
            "$([ $((i % 2)) = 0 ] && echo temperature || echo humidity)" "$([ "$i" = "$1" ] && echo 0 || echo $((1000 + i)))"
    done >>"$dir/hub/hub.toml"
    [ -z "$hub_pid" ] || "$bin/skerry-hub" reload --config "$dir/hub/hub.toml"
}
use_routes 1
start_hub
wait_for "$hub_ready"
"$bin/bench-devices" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --count $connections --key "$key"
load() {
    measured "$hub_pid" "$bin/bench-mqtt_load" --host "$hub" --port 8883 --ca "$SKERRY_CA_FILE" --connections $connections \
        --in-flight $in_flight --size $size --seconds "$seconds" --hub "$hub" --key "$key"
}
one=() hundred=() one_us=() hundred_us=()
for _ in $(seq "$rounds"); do
    use_routes 1
    line=$(load)
    one+=("$(field rate <<<"$line")")
    one_us+=("$(calculate %.2f "1e6 * $(field server_busy <<<"$line") / $(field rate <<<"$line")")")
    use_routes 100
    line=$(load)
    hundred+=("$(field rate <<<"$line")")
    hundred_us+=("$(calculate %.2f "1e6 * $(field server_busy <<<"$line") / $(field rate <<<"$line")")")
done
a=$(median "${one[@]}") b=$(median "${hundred[@]}") ratio=$(calculate %.3f "$b / $a")
echo "telemetry with one route: $a/s ($(median "${one_us[@]}") µs of the hub for one), with a hundred: $b/s ($(median "${hundred_us[@]}") µs); ratio $ratio (goal: at least 0.85)"
write_result routes "\"bytes_of_body\": $size,
  \"conditions\": [$(paste -sd, <<<"$lines")],
  \"telemetry\": {\"one_route\": [$(IFS=, && echo "${one[*]}")], \"hundred_routes\": [$(IFS=, && echo "${hundred[*]}")],
    \"one_route_us\": $(median "${one_us[@]}"), \"hundred_routes_us\": $(median "${hundred_us[@]}"), \"ratio\": $ratio}"
