#!/usr/bin/env bash
# Connects a second over TLS, each with its MQTT CONNECT and CONNACK: skerry-hub, which checks a SAS token for each, beside Mosquitto, which
# lets everybody in; with full handshakes and with resumed ones. A handshake costs the client about as much as the server, so on two
# processors a server is seldom busy: then the processor time for one connect is what can be compared.
source "$(dirname "$0")/support.bash"
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-5} devices=200 threads=${THREADS:-64}
kinds=(ours theirs ours_resumed theirs_resumed)

make_hub
start_hub
wait_for "$hub_ready"
"$bin/bench-devices" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --count $devices --key "$key"
start_mosquitto

connects() { # connects KIND
    local pid=$hub_pid options=(--port 8883 --hub "$hub" --key "$key")
    [[ $1 = theirs* ]] && pid=$mosquitto_pid options=(--port 8884)
    [[ $1 = *resumed ]] && options+=(--resume)
    measured "$pid" "$bin/bench-connects" --host "$hub" --ca "$SKERRY_CA_FILE" --seconds "$seconds" --threads "$threads" --devices $devices \
        "${options[@]}"
}

echo "connects: TLS and MQTT, $threads at once, $seconds s each; a second (µs of the server for one; % of a processor: server, client)"
printf '%8s %26s %26s %26s %26s\n' round "skerry-hub, SAS" "mosquitto" "skerry-hub, resumed" "mosquitto, resumed"
declare -A rate cost busy
for round in $(seq "$rounds"); do
    printf '%8s' "$round"
    for kind in "${kinds[@]}"; do
        line=$(connects "$kind")
        server=$(field server_busy <<<"$line") r=$(field rate <<<"$line")
        us=$(calculate %.0f "1e6 * $server / $r")
        rate[$kind]+=" $r" cost[$kind]+=" $us" busy[$kind]+=" $server"
        printf ' %26s' "$r ($us µs; $(percent "$server"), $(percent "$(field client_busy <<<"$line")"))"
    done
    echo
done
of() { median $1; }
list() { local values=($1); (IFS=, && echo "${values[*]}"); }
ratio() { calculate %.2f "$1 / $2"; }
full=$(ratio "$(of "${rate[ours]}")" "$(of "${rate[theirs]}")") full_cost=$(ratio "$(of "${cost[theirs]}")" "$(of "${cost[ours]}")")
again_cost=$(ratio "$(of "${cost[theirs]}")" "$(of "${cost[ours_resumed]}")")
like_cost=$(ratio "$(of "${cost[theirs_resumed]}")" "$(of "${cost[ours_resumed]}")")
echo "rates, full handshakes: $full × Mosquitto; this $(counts "$(of "${busy[theirs]}")")"
echo "connects for the same processor time: full $full_cost ×, resumed $again_cost × of Mosquitto's full ones and $like_cost × of its resumed ones"
members=
for kind in "${kinds[@]}"; do
    members+="\"$kind\": {\"per_second\": [$(list "${rate[$kind]}")], \"server_us\": $(of "${cost[$kind]}"), \"server_busy\": [$(list "${busy[$kind]}")]},
  "
done
write_result connects "\"threads\": $threads,
  $members\"same_processor_time\": {\"full\": $full_cost, \"resumed_to_full\": $again_cost, \"resumed\": $like_cost},
  \"rates\": {\"full\": $full, \"mosquitto_busy\": $(of "${busy[theirs]}")}"
