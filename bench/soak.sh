#!/usr/bin/env bash
# Whether an edge hub's memory stays flat: MESSAGES (10,000,000) messages of ten leaf devices go through it to the cloud, and CONNECTS (100,000)
# connections come and go, in ten rounds; its memory after each.
source "$(dirname "$0")/support.bash"
rounds=10 messages=${MESSAGES:-10000000} connects=${CONNECTS:-100000} leaves=10

make_hub
start_hub
wait_for "$hub_ready"
make_edge
scope=$("$bin/skerry" device show edge --output json | sed -n 's/.*"deviceScope": *"\([^"]*\)".*/\1/p')
"$bin/bench-devices" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --count $leaves --key "$key" --scope "$scope"
start_edge
wait_for "$edge_ready"
edge_hub=$(pgrep -P "$edge_pid" skerry-edgehub) ca=$dir/edge/certificates/edge-ca.pem
metric() { curl -sf "http://$edge:9600/metrics" | awk -v name="$1" 'index($1, name) == 1 { n += $2 } END { printf "%d\n", n }'; }

# Until so many more have been acknowledged, and have gone up.
send() { # send MESSAGES
    local left=$1 line
    while [ "$left" -gt 0 ]; do
        line=$("$bin/bench-mqtt_load" --host $edge --port 8883 --ca "$ca" --connections $leaves --in-flight 50 --size 256 --seconds 2 --hub $hub --key "$key")
        left=$((left - $(field acknowledged <<<"$line")))
    done
    while [ "$(metric 'edgehub_queue_length{')" -gt 0 ]; do sleep 0.1; done
}
come_and_go() { # come_and_go CONNECTIONS
    local left=$1 line
    while [ "$left" -gt 0 ]; do
        line=$("$bin/bench-connects" --host $edge --port 8883 --ca "$ca" --seconds 2 --threads 16 --devices $leaves --hub $hub --key "$key")
        left=$((left - $(field connected <<<"$line")))
    done
}

send 1000
sleep 17 # a process gives back what only its start has needed after a quarter of a minute
began_kb=$(pss_kb "$edge_hub")
echo "soak: the edge hub has $began_kb kB before"
sizes=()
for round in $(seq $rounds); do
    send $((messages / rounds))
    come_and_go $((connects / rounds))
    sizes+=("$(pss_kb "$edge_hub")")
    echo "soak: $((round * messages / rounds)) messages, $((round * connects / rounds)) connections: ${sizes[-1]} kB"
done
growth=$(calculate %.3f "${sizes[-1]} / ${sizes[2]}")
echo "soak: the last round beside the third: $growth"
write_result soak "\"messages\": $messages, \"connections\": $connects, \"before_kb\": $began_kb,
  \"after_each_round_kb\": [$(IFS=, && echo "${sizes[*]}")], \"last_beside_third\": $growth"
[ "$(calculate %d "$growth < 1.1")" = 1 ] || { echo "it grows"; exit 1; }
