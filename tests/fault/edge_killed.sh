#!/usr/bin/env bash
# An edge's processes are killed with -9 a hundred times while leaf devices send through it and modules run: everything that it acknowledged
# comes to the hub, in order, and at the end every role serves again. By turns the edge hub, the daemon and the agent alone die, which their
# parent starts again after a second, and the whole edge. Every tenth time the hub upstream dies as well.
source "$(dirname "$0")/support.bash"
kills=${KILLS:-100}
victims=(skerry-edgehub skerry-daemon skerry-agent all)
hub_kills=0
make_hub
start_hub
wait_for $hub_ready
make_edge "$(deployed sleeper "" /bin/sleep 4711)"
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
    victim=${victims[$((RANDOM % 4))]}
    if [ "$victim" = all ]; then
        kill_hard "$edge_pid" $(pgrep -P "$edge_pid")
        start_edge
    else
        pid=$(pgrep -P "$edge_pid" "$victim") && kill_hard "$pid" # else it is being started again
    fi
done
under_load $edge_ready
wait_for $hub_ready # it was killed last, and its events are read now
reckon "edge killed $kills times, hub $hub_kills times"

verdict() { "$bin/skerry-edge" check --config "$dir/edge.toml" --output json 2>/dev/null | jq -r ".checks[\"$1\"].result.result"; }
for sound in agent-running edge-hub-running agent-connected deployment-in-force modules-as-desired leaf-to-gateway-tls; do
    for _ in $(seq 100); do
        [ "$(verdict $sound)" = ok ] && continue 2
        sleep 0.3
    done
    echo "$sound: $(verdict $sound)"
    exit 1
done
curl -sf --unix-socket "$dir/edge/sockets/edgeAgent.sock" "http://daemon/trust-bundle?api-version=2018-06-28" | grep -q 'BEGIN CERTIFICATE' ||
    { echo "the daemon does not serve"; exit 1; }
[ "$(pgrep -c -f '/bin/sleep 4711')" = 1 ] || { echo "the module runs $(pgrep -c -f '/bin/sleep 4711') times"; exit 1; }
echo "and every role serves again"
