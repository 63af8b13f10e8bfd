#!/usr/bin/env bash
# Deployments follow each other as fast as the hub takes them, each with other priorities and times to live and up to 64 queues, most of which the one
# before did not have, while leaf devices send and the edge hub is killed with -9: nothing that was acknowledged is lost, and the last one counts.
source "$(dirname "$0")/support.bash"
make_hub
start_hub
wait_for $hub_ready
make_edge
start_edge
wait_for $edge_ready
start_load "$dir/edge/certificates/edge-ca.pem" --parent edge -- --gateway $edge
under_load $edge_ready

routes() { # routes HOW_MANY: one to the cloud, the others to inputs that get nothing
    printf '{"schemaVersion": "1.1", "routes": {"up": {"route": "FROM /messages/* INTO $upstream", "priority": %d, "timeToLiveSecs": %d}' \
        $((RANDOM % 10)) $((3600 + RANDOM % 3))
    for i in $(seq "$1"); do
        printf ', "r%d": {"route": "FROM /messages/* WHERE never = 1 INTO BrokeredEndpoint(\\"/modules/m%d/inputs/i%d\\")", "priority": %d}' \
            "$i" "$i" $((RANDOM % 3)) $((RANDOM % 10))
    done
    printf '}}'
}
storm() {
    local sizes=(0 3 40 62 63)
    while :; do
        "$bin/skerry" twin replace 'edge/$edgeHub' --desired "$(routes ${sizes[$((RANDOM % 5))]})" >/dev/null || true
    done
}
storm &
storm_pid=$!
other_pids=$storm_pid
for _ in $(seq "${KILLS:-10}"); do
    under_load $edge_ready
    pid=$(pgrep -P "$edge_pid" skerry-edgehub) && kill_hard "$pid"
done
under_load $edge_ready
kill "$storm_pid"
wait "$storm_pid" 2>/dev/null || true
other_pids=
"$bin/skerry" twin replace 'edge/$edgeHub' --desired "$(routes 0)" >/dev/null
in_force() { curl -s --unix-socket "$dir/edge/hub/status.sock" http://edge/status | jq -e '.deployment.code == 200 and (.routes | length) == 1' >/dev/null; }
until_true in_force || expect "the last deployment" "not in force" "in force"
reckon "deployments without end" || true # messages of other priorities overtake each other: their order is not promised here
expect "missing messages" "$(tail -n 1 "$dir/progress" | jq .missing)" 0
expect "what was given up" "$(grep -c 'are given up' "$dir/edge.log" || true)" 0
exit $failed
