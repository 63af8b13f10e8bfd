#!/usr/bin/env bash
# An edge's disk is full: what it cannot store it does not acknowledge, and all else goes on. Modules run, the deployment that comes is applied, and
# each role that dies, or all of them, comes back and serves, on the full disk. With room again the devices go on, and nothing is missing.
# On the way the deployment says how many clients the edge hub may have, which counts there.
if [ -z "${OWN_MOUNTS:-}" ]; then
    unshare --mount true 2>/dev/null || { echo "mounting is not allowed here"; exit 77; }
    OWN_MOUNTS=1 exec unshare --mount "$0" "$@"
fi
source "$(dirname "$0")/support.bash"
mkdir -m 711 "$dir/edge"
mount -t tmpfs -o size=40m,mode=711 none "$dir/edge"
trap 'umount -l "$dir/edge"; finish' EXIT
make_hub
start_hub
wait_for $hub_ready
make_edge "$(deployed sleeper "" /bin/sleep 4721)"
sed -i 's/"edgeHub": {/"edgeHub": {"env": {"MaxConnectedClients": {"value": "77"}}, /' "$dir/modules.json"
"$bin/skerry" edge set-modules edge "$dir/modules.json" >/dev/null
start_edge
wait_for $edge_ready
start_load "$dir/edge/certificates/edge-ca.pem" --parent edge -- --gateway $edge
under_load $edge_ready
status() { curl -s --unix-socket "$dir/edge/hub/status.sock" http://edge/status | jq -r "$1"; }
has_limit() { [ "$(status .limits.maxClients)" = 77 ]; }
until_true has_limit || expect "the limit of clients in force" "$(status .limits.maxClients)" 77
sleeps() { pgrep -f "/bin/sleep $1" >/dev/null; }
until_true sleeps 4721 || expect "the module" missing running

dd if=/dev/zero of="$dir/edge/filler" bs=1M 2>/dev/null || true
is_refusing() { [ "$(status .counts.refused)" -gt 0 ]; }
until_true is_refusing || expect "refused messages on a full disk" "$(status .counts.refused)" some
before=$(acknowledged)
sleep 1
expect "acknowledged on a full disk" "$(acknowledged)" "$before"
sed -i 's/4721/4722/' "$dir/modules.json"
"$bin/skerry" edge set-modules edge "$dir/modules.json" >/dev/null
until_true sleeps 4722 || expect "the module of a deployment that comes on a full disk" missing running

serves() { [ "$(pgrep -P "$edge_pid" -c)" = 3 ] && curl -sf -o /dev/null $edge_ready && "$bin/skerry-edge" list --config "$dir/edge.toml" | grep -q '^sleeper *running'; }
for victim in skerry-edgehub skerry-daemon skerry-agent; do
    kill_hard "$(pgrep -P "$edge_pid" $victim)"
    until_true serves || expect "$victim, killed on a full disk" away serving
done
kill_hard "$edge_pid" $(pgrep -P "$edge_pid")
start_edge
until_true serves || expect "the edge, started on a full disk" away serving

rm "$dir/edge/filler"
under_load $edge_ready
reckon "on a full disk" || failed=1
exit $failed
