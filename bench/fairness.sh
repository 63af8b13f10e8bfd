#!/usr/bin/env bash
# What another device notices while one client floods the hub, in each of the ways of tests/fault/attack.c: the wait for the
# acknowledgement of a durable QoS 1 publish (p99 at most 50 ms), and the hub's memory (at most 64 MB above idle). SECONDS_EACH changes
# how long each flood takes.
source "$(dirname "$0")/support.bash"
seconds=${SECONDS_EACH:-6}
floods=${FLOODS-http-get http-get-unread http-body mqtt-ping-unknown mqtt-ping mqtt-ping-unread mqtt-subscribe-unread mqtt-twin mqtt-twin-unread mqtt-qos0 mqtt-qos1-unread amqp-begin amqp-attach amqp-links amqp-sessions tls-keyupdate tls-keyupdate-data tls-chain events idle}
wait_max_ms=50 memory_max_kb=$((64 * 1024))
cp "$1/fault-attack" "$dir/bin"

peak_kb() {
    sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$hub_pid/status"
}

ulimit -n "$(ulimit -H -n)"
make_hub
start_hub
wait_for "$hub_ready"
for device in victim flooder; do "$bin/skerry" device add $device >/dev/null; done
victim=$("$bin/skerry" device connection-string victim)
flooder=$("$bin/skerry" device connection-string flooder)

latency() { "$bin/bench-latency" --device "$victim" --ca "$SKERRY_CA_FILE" --seconds "$1"; }

echo "fairness: one client floods for $seconds s each; the waits of another device's QoS 1 publishes in ms, the hub's memory in MB above idle"
printf '%22s %8s %8s %8s %8s\n' flood p50 p99 longest memory
rows= worst=0 most=0
echo 5 >"/proc/$hub_pid/clear_refs"
for flood in idle-hub $floods; do
    [ "$flood" != idle-hub ] || idle_kb=$(peak_kb)
    if [ "$flood" != idle-hub ]; then
        "$bin/fault-attack" "$flood" --to $hub:8883 --ca "$SKERRY_CA_FILE" --seconds $((seconds + 2)) --device "$flooder" \
            --service "$SKERRY_CONNECTION_STRING" >/dev/null 2>&1 &
        other_pids=$!
        sleep 1
    fi
    line=$(latency $((seconds - 1)))
    [ "$flood" = idle-hub ] || wait "$other_pids" || true
    other_pids=
    memory_kb=$(($(peak_kb) - idle_kb))
    echo 5 >"/proc/$hub_pid/clear_refs"
    p50=$(field p50_ms <<<"$line") p99=$(field p99_ms <<<"$line") longest=$(field longest_ms <<<"$line")
    printf '%22s %8s %8s %8s %8s\n' "$flood" "$p50" "$p99" "$longest" $((memory_kb / 1024))
    rows="$rows${rows:+, }\"$flood\": {\"p50_ms\": $p50, \"p99_ms\": $p99, \"longest_ms\": $longest, \"memory_kb\": $memory_kb}"
    worst=$(calculate %.2f "($worst > $p99 ? $worst : $p99)")
    [ $most -gt $memory_kb ] || most=$memory_kb
done
write_result fairness "\"seconds\": $seconds, \"floods\": {$rows},
  \"worst_p99_ms\": $worst, \"most_memory_kb\": $most"
[ "$(calculate %d "($worst <= $wait_max_ms)")" = 1 ] && [ $most -le $memory_max_kb ] || { echo "too much: p99 $worst ms, $((most / 1024)) MB"; exit 1; }
