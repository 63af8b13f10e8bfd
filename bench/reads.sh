#!/usr/bin/env bash
# Point reads of the registry over TLS: one device after the other on each of 32 connections, each with a SAS token to be checked. There is no
# peer; what a read costs the hub of processor time is what can be compared between machines.
source "$(dirname "$0")/support.bash"
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-5} devices=2000

make_hub
start_hub
wait_for "$hub_ready"
"$bin/bench-devices" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --count $devices --key "$key"
echo "reads: 32 connections, $seconds s each; devices read a second (% of a processor: server, client), µs of the server for one"
rates=() costs=()
for _ in $(seq "$rounds"); do
    line=$(measured "$hub_pid" "$bin/bench-reads" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --count $devices --seconds "$seconds")
    rates+=("$(field rate <<<"$line")")
    costs+=("$(calculate %.1f "1e6 * $(field server_busy <<<"$line") / $(field rate <<<"$line")")")
    echo "  $(shares "$line") ${costs[-1]} µs"
done
write_result reads "\"devices\": $devices, \"per_second\": [$(IFS=, && echo "${rates[*]}")], \"server_us\": $(median "${costs[@]}")"
