#!/usr/bin/env bash
# A hub is backed up while devices send to it, and killed; what it had acknowledged before the backup began is all in a hub that is restored
# from it, wherever that is. A backup that was interrupted is no backup.
source "$(dirname "$0")/support.bash"
make_hub
printf '\n[[hub.ca]]\nfile = "ca.pem"\nverified = true\n' >>"$dir/hub/hub.toml"
start_hub
wait_for $hub_ready
start_load "$dir/hub/ca.pem" --
"$bin/skerry" device add kept >/dev/null
"$bin/skerry" twin update kept --desired '{"interval": 7}' >/dev/null
config=$dir/hub/hub.toml
stored() { timeout 10 "$bin/skerry" events watch --from earliest --output jsonl 2>/dev/null | wc -l || true; }

for round in 1 2 3; do
    under_load $hub_ready
    before=$(acknowledged)
    backup=$dir/backup$round
    "$bin/skerry-hub" backup "$backup" --config "$config" >/dev/null || expect "backup $round" failed made
    expect "a backup into a folder that is not empty" \
        "$("$bin/skerry-hub" backup "$backup" --config "$config" 2>&1)" "skerry-hub: $backup is not empty; name a folder that is new"
done
expect "the CA that hub.toml names" "$(find "$backup/config" -mindepth 2 -name ca.pem | wc -l)" 1
expect "what tells the hub of a copy" "$(find "$dir/hub" -path '*being-copied/*' | wc -l)" 0
kill -TERM "$load_pid"
wait "$load_pid" || true
load_pid=
kill_hard "$hub_pid"

expect "a restore where there is data" "$("$bin/skerry-hub" restore "$backup" --config "$config" 2>&1 | grep -c 'is not empty: a backup is restored into an empty folder')" 1
sed -i 's#^data = .*#data = "elsewhere/test"#' "$config"
cp -r "$backup" "$dir/torn"
rm "$dir/torn/backup.json"
expect "a torn backup" "$("$bin/skerry-hub" restore "$dir/torn" --config "$config" 2>&1)" \
    "skerry-hub: $dir/torn is no whole backup: it has no backup.json; take another one"
"$bin/skerry-hub" restore "$backup" --config "$config" >/dev/null
start_hub
wait_for $hub_ready
expect "the twin" "$("$bin/skerry" twin show kept --output json | grep -c '"interval": *7')" 1
expect "devices" "$("$bin/skerry" device list --output jsonl | wc -l)" 5
now=$(stored)
[ "$now" -ge "$before" ] || expect "events that were acknowledged before the last backup" "$now" "$before or more"
[ "$before" -gt 0 ] || expect "acknowledged" "$before" some
[ $failed = 0 ] && echo "backed up under load: $before acknowledged before, $now restored"
exit $failed
