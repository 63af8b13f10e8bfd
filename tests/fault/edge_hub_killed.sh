#!/usr/bin/env bash
# An edge hub is killed with -9 fifty times while leaf devices send through it: everything it acknowledged comes to the hub, in order.
# By turns the role alone dies, which its parent starts again after a second, and the whole edge with all its processes. Every tenth
# time the hub upstream dies as well.
source "$(dirname "$0")/support.bash"
kills=${KILLS:-50}
hub_kills=0
make_hub
start_hub
wait_for $hub_ready
make_edge
start_edge
wait_for $edge_ready
start_load "$dir/edge/certificates/edge-ca.pem" --parent edge -- --gateway $edge
for i in $(seq "$kills"); do
    under_load $edge_ready
    if [ $((i % 10)) = 0 ]; then
        kill_hard "$hub_pid"
        start_hub
        hub_kills=$((hub_kills + 1))
    fi
    if [ $((i % 2)) = 0 ]; then
        kill_hard "$edge_pid" $(pgrep -P "$edge_pid")
        start_edge
    else
        kill_hard "$(pgrep -P "$edge_pid" skerry-edgehub)"
    fi
done
under_load $edge_ready
wait_for $hub_ready # it was killed last, and its events are read now
reckon "edge hub killed $kills times, hub $hub_kills times"
