#!/usr/bin/env bash
# The hub is killed with -9 fifty times while devices send to it: everything it acknowledged is among its stored events, in order.
source "$(dirname "$0")/support.bash"
kills=${KILLS:-50}
make_hub
start_hub
wait_for $hub_ready
start_load "$dir/hub/ca.pem" --
for _ in $(seq "$kills"); do
    under_load $hub_ready
    kill_hard "$hub_pid"
    start_hub
done
under_load $hub_ready
reckon "hub killed $kills times"
