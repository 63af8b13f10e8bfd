#!/usr/bin/env bash
# skerry-hub, started as root, becomes a user of its own: its ports (443 among them) are bound, its older data are its own, and a renewed
# certificate whose key only root may read is taken at SIGHUP.
source "$(dirname "$0")/support.bash"
status() { awk -v f="$1:" '$1 == f { print $2 }' "/proc/$hub_pid/status"; }
served() { # served PORT: the fingerprint of the certificate there
    openssl s_client -connect $hub:$1 </dev/null 2>/dev/null | openssl x509 -noout -fingerprint
}

make_hub
data=$(sed -n 's/^data = "\(.*\)"/\1/p' "$dir/hub/hub.toml" | head -n 1)
case $data in /*) ;; *) data=$dir/hub/$data ;; esac
"$bin/skerry-hub" run --config "$dir/hub/hub.toml" --user root 2>>"$dir/hub.log" & # as older versions ran
hub_pid=$!
wait_for $hub_ready
"$bin/skerry" device add before >/dev/null
expect "--user root" "$(status Uid)" 0
kill "$hub_pid"
wait "$hub_pid" || true

printf '\n[hub.records]\nfolder = "records"\n' >>"$dir/hub/hub.toml" # in a folder that is root's
start_hub
wait_for $hub_ready
expect "the folder of its records" "$(stat -c '%u %a' "$dir/hub/records")" "61170 700"
expect "its user" "$(status Uid)" 61170
expect "its group" "$(status Gid)" 61170
expect "its capabilities: ports below 1024" "$(status CapEff)" 0000000000000400
expect "no new privileges" "$(status NoNewPrivs)" 1
expect "a filter of system calls" "$(status Seccomp)" 2
expect "the user of its data" "$(find "$data" ! -uid 61170 | wc -l)" 0
expect "a device from before" "$("$bin/skerry" device show before --output json | grep -c '"before"')" 1
"$bin/skerry" device add after >/dev/null
expect "the key of its certificate is root's" "$(stat -c '%u %a' "$dir/hub/server.key")" "0 600"

# And hub.toml, which only root may read.
expect "its configuration is root's" "$(stat -c '%u %a' "$dir/hub/hub.toml")" "0 600"
config=$dir/hub/hub.toml
lists() { "$bin/skerry" device list >/dev/null 2>&1; }
cp "$config" "$dir/good.toml"
sed -i 's/^partitions = .*/partitoins = 4/' "$config"
expect "a mistake, told by reload" "$("$bin/skerry-hub" reload --config "$config" 2>&1)" \
    "skerry-hub: $config:$(grep -n partitoins "$config" | cut -d: -f1): hub[0].partitoins: is not known; did you mean hub[0].partitions?"
sed 's/^partitions = .*/partitions = 8/' "$dir/good.toml" >"$config"
"$bin/skerry-hub" reload --config "$config" >/dev/null
until_true grep -q 'stays as it was: .*hub\[0\].partitions: counts from a start on (it was 4)' "$dir/hub.log"
lists || expect "the owner's key after a mistake" refused taken
sed "0,/^keys = .*/s||keys = [\"$(head -c 32 /dev/urandom | base64)\"]|" "$dir/good.toml" >"$config"
"$bin/skerry-hub" reload --config "$config" >/dev/null
refused() { ! lists; }
until_true refused || expect "the owner's old key after a reload" taken refused

first=$(served 443)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$dir/hub/server.key" -out "$dir/hub/server.pem" -days 2 \
    -subj /CN=$hub 2>/dev/null
chmod 600 "$dir/hub/server.key"
kill -HUP "$hub_pid"
for _ in $(seq 100); do
    [ "$(served 443)" != "$first" ] && break
    sleep 0.05
done
expect "the certificate after SIGHUP" "$(served 443)" "$(openssl x509 -noout -fingerprint -in "$dir/hub/server.pem")"
kill "$hub_pid"
wait "$hub_pid" || true
expect "processes left" "$(pgrep -c -f "run --config $dir/hub/hub.toml" || true)" 0
[ $failed = 0 ] && echo "the hub is confined"
exit $failed
