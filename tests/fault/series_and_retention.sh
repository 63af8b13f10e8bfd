#!/usr/bin/env bash
# The log lets go of messages by size, before the minute in which time series would have written them: they are on disk by then.
source "$(dirname "$0")/support.bash"
make_hub
sed -i 's/^data = .*/&\nretention_bytes = 1048576/' "$dir/hub/hub.toml"
start_hub
wait_for "$hub_ready"
"$bin/skerry" device add d1 >/dev/null
text=$(head -c 100000 /dev/zero | tr '\0' x)
sent=0
for round in 1 2 3; do # each start of the hub begins a segment of the log
    for _ in $(seq 20); do
        "$bin/skerry" telemetry send d1 "{\"n\": $sent, \"text\": \"$text\"}" >/dev/null
        sent=$((sent + 1))
    done
    sleep 2
    kill -9 "$hub_pid"
    wait "$hub_pid" 2>/dev/null || true
    start_hub
    wait_for "$hub_ready"
done
events() { "$bin/skerry" series list --output json | jq '[.[].events] | add // 0'; }
all_there() { [ "$(events)" = "$sent" ]; }
until_true all_there || expect "events" "$(events)" "$sent"
first=$("$bin/skerry" events watch --from earliest --count 1 --output jsonl | jq -r '.body.n // .event.payload.n // empty' 2>/dev/null || true)
[ "$first" != 0 ] || expect "the log's first message" "$first" "a later one: else this tries nothing"
exit $failed
