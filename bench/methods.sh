#!/usr/bin/env bash
# Direct methods at a steady rate: from a service's call over HTTPS to its answer, with ten devices on MQTT that answer at once.
source "$(dirname "$0")/support.bash"
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-5} rate=${RATE:-1000} devices=10

make_hub
start_hub
wait_for "$hub_ready"
"$bin/bench-devices" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --count $devices --key "$key"
echo "methods: $rate a second for $seconds s; ms from call to answer"
p50=() p99=() lines=()
for _ in $(seq "$rounds"); do
    line=$("$bin/bench-methods" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --key "$key" --devices $devices --rate "$rate" --seconds "$seconds")
    p50+=("$(field p50_ms <<<"$line")") p99+=("$(field p99_ms <<<"$line")") lines+=("$line")
    printf '  p50 %6s   p99 %6s   longest %6s   (%s calls, %s late)\n' "$(field p50_ms <<<"$line")" "$(field p99_ms <<<"$line")" "$(field longest_ms <<<"$line")" \
        "$(field calls <<<"$line")" "$(field late <<<"$line")"
done
echo "  medians: p50 $(median "${p50[@]}"), p99 $(median "${p99[@]}") (goal: at most 3)"
write_result methods "\"rounds\": [$(IFS=, && echo "${lines[*]}")], \"p50_ms\": $(median "${p50[@]}"), \"p99_ms\": $(median "${p99[@]}")"
