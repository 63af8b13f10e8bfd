#!/usr/bin/env bash
# Connects a second over TLS, each with its MQTT CONNECT and CONNACK: skerry-hub, which checks a SAS token for each, beside Mosquitto, which
# lets everybody in; with full handshakes and with resumed ones; and what the servers themselves need of a processor for one connect.
source "$(dirname "$0")/support.bash"
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-5} devices=200

make_hub
start_hub
wait_for "$hub_ready"
"$bin/bench-devices" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --count $devices --key "$key"
start_mosquitto

cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
# connects PID PORT ARGUMENT…: "rate microseconds-of-the-server"
connects() {
    local pid=$1 port=$2 before line
    shift 2
    before=$(cpu_ticks "$pid")
    line=$("$bin/bench-connects" --host "$hub" --port "$port" --ca "$SKERRY_CA_FILE" --seconds "$seconds" "$@")
    echo "$(field rate <<<"$line") $(calculate %.0f "1e6 * ($(cpu_ticks "$pid") - $before) / $(getconf CLK_TCK) / $(field connected <<<"$line")")"
}

echo "connects: TLS and MQTT, $seconds s each; a second, and µs of the server's processor time for one"
printf '%8s %22s %22s %22s %22s\n' round "skerry-hub, SAS" "mosquitto" "skerry-hub, resumed" "mosquitto, resumed"
declare -A rate cost
for round in $(seq "$rounds"); do
    printf '%8s' "$round"
    for kind in ours theirs ours_resumed theirs_resumed; do
        case $kind in
        ours*) set -- "$hub_pid" 8883 --hub "$hub" --key "$key" --devices $devices ;;
        *) set -- "$mosquitto_pid" 8884 --devices $devices ;;
        esac
        [[ $kind = *resumed ]] && set -- "$@" --resume
        read -r r c <<<"$(connects "$@")"
        rate[$kind]+=" $r" cost[$kind]+=" $c"
        printf ' %22s' "$r, $c µs"
    done
    echo
done
of() { median ${1//,/ }; }
full=$(calculate %.2f "$(of "${rate[ours]}") / $(of "${rate[theirs]}")")
again=$(calculate %.2f "$(of "${rate[ours_resumed]}") / $(of "${rate[theirs]}")")
full_cost=$(calculate %.2f "$(of "${cost[theirs]}") / $(of "${cost[ours]}")")
again_cost=$(calculate %.2f "$(of "${cost[theirs]}") / $(of "${cost[ours_resumed]}")")
echo "of Mosquitto's full handshakes: full $full ×, resumed $again ×; connects for the same processor time: full $full_cost ×, resumed $again_cost ×"
list() { local values=($1); (IFS=, && echo "${values[*]}"); }
write_result connects "\"skerry_hub_per_second\": [$(list "${rate[ours]}")],
  \"mosquitto_per_second\": [$(list "${rate[theirs]}")],
  \"skerry_hub_resumed_per_second\": [$(list "${rate[ours_resumed]}")],
  \"mosquitto_resumed_per_second\": [$(list "${rate[theirs_resumed]}")],
  \"server_us\": {\"skerry_hub\": $(of "${cost[ours]}"), \"mosquitto\": $(of "${cost[theirs]}"), \"skerry_hub_resumed\": $(of "${cost[ours_resumed]}"), \"mosquitto_resumed\": $(of "${cost[theirs_resumed]}")},
  \"ratios\": {\"full\": $full, \"resumed\": $again}"
