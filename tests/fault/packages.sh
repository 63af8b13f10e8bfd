#!/usr/bin/env bash
# The packages in a clean Debian: installed, run as their units say, upgraded with a full queue, removed, purged. Nothing that was acknowledged
# is lost on the way. Needs root, for a root folder of its own.
source "$(dirname "$0")/../../script/common.sh"
bin=$(cd "${1:-build/release/bin}" && pwd)
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
need debootstrap curl jq
clean=$ROOT/build/debian-root.tar
source tests/fault/support.bash "$bin"
messages=200
root=$dir/root hub_there=/var/lib/skerry-hub

if [ ! -e "$clean" ]; then
    debootstrap --variant=minbase --include=ca-certificates bookworm "$dir/clean" >"$dir/debootstrap.log" 2>&1 ||
        { tail -n 3 "$dir/debootstrap.log"; exit 1; }
    tar -C "$dir/clean" -c . >"$clean"
    rm -rf "$dir/clean"
fi
mkdir "$root"
tar -C "$root" -xf "$clean"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
leave_root() { umount "$root/dev" "$root/proc" 2>/dev/null || true; }
trap 'for pid in $(processes); do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done; leave_root; finish' EXIT
inside() { chroot "$root" env DEBIAN_FRONTEND=noninteractive "$@"; }

for revision in 1 2; do PACKAGE_REVISION=$revision script/package deb >"$dir/package.log" 2>&1; done
cp build/packages/skerry*_*-[12]_*.deb "$root/tmp/"
rm build/packages/skerry*_*-[12]_*.deb
inside apt-get update -qq
inside sh -c 'apt-get install -y -qq --no-install-recommends /tmp/skerry-edge_*-1_*.deb /tmp/skerry-hub_*-1_*.deb /tmp/skerry_*-1_*.deb' >"$dir/install.log" 2>&1
grep -q 'skerry-edge config mp' "$dir/install.log" || { echo "the package does not say what comes next"; exit 1; }
[ "$(inside stat -c %s /usr/bin/skerry-edge)" -lt 5000000 ] || { echo "skerry-edge is larger than 5 MB"; exit 1; }

# ---- systemd's part, as far as the units need one: folders, user, capabilities ----

key() { sed -n "s/^$2=//p" "$root/lib/systemd/system/$1.service"; }
start_unit() { # start_unit NAME: $! is its process
    local user state runtime command before
    user=$(key "$1" User) state=$(key "$1" StateDirectory) runtime=$(key "$1" RuntimeDirectory) command=$(key "$1" ExecStart)
    before=$(key "$1" ExecStartPre)
    inside install -d -m "$(key "$1" StateDirectoryMode)" -o "${user:-root}" -g "${user:-root}" "/var/lib/$state"
    [ -z "$runtime" ] || inside install -d -m 700 -o "$user" -g "$user" "/run/$runtime"
    [ -z "$before" ] || inside sh -c "${before#+}"
    if [ -n "$user" ]; then
        local as=(setpriv --reuid "$user" --regid "$user" --clear-groups --inh-caps +net_bind_service --ambient-caps +net_bind_service
            --bounding-set -all,+net_bind_service --no-new-privs)
    else
        local as=()
    fi
    # shellcheck disable=SC2086
    chroot "$root" "${as[@]}" $command 2>>"$dir/$1.log" &
}
start_edge_units() {
    start_unit skerry-edge && other_pids=$!
    start_unit skerry-edgehub && edge_pid=$!
    wait_for $edge_ready
}
end_edge_units() {
    end "$edge_pid" "$other_pids"
    edge_pid= other_pids=
}
end() {
    kill "$@"
    for pid in "$@"; do wait "$pid" || { echo "process $pid ended with $?"; exit 1; }; done
}

inside skerry-hub init $hub_there --hostname $hub --hub test --listen $hub --metrics $hub:9600 --json >"$dir/hub.json"
inside chown -R skerry-hub: $hub_there
mkdir "$dir/hub"
cp "$root$hub_there/ca.pem" "$dir/hub/ca.pem"
export SKERRY_CONNECTION_STRING SKERRY_CA_FILE="$dir/hub/ca.pem"
SKERRY_CONNECTION_STRING=$(sed 's/.*"iothubowner":"\(HostName[^"]*\)".*/\1/' "$dir/hub.json")
start_unit skerry-hub && hub_pid=$!
wait_for $hub_ready
"$bin/skerry" device add edge --edge >/dev/null
"$bin/skerry" device add leaf --parent edge >/dev/null
sas=$("$bin/skerry" device sas leaf)
inside skerry-edge config mp --connection-string "$("$bin/skerry" device connection-string edge)" >/dev/null
cat >>"$root/etc/aziot/config.toml" <<CONFIG
[skerry]
hub_trust = "$hub_there/edge-trust.pem"
listen = ["$edge"]
metrics = "$edge:9600"
CONFIG
sed -i "1i hostname = \"$edge\"" "$root/etc/aziot/config.toml"
sed -i "s|$hub_there/edge-trust.pem|/etc/aziot/hub-ca.pem|" "$root/etc/aziot/config.toml"
install -m 644 "$dir/hub/ca.pem" "$root/etc/aziot/hub-ca.pem"
deployment >"$dir/modules.json"
"$bin/skerry" edge set-modules edge "$dir/modules.json" >/dev/null
inside skerry-edge config apply >/dev/null
start_edge_units

send() { # send NUMBER
    curl -sf --cacert "$root/var/lib/skerry/certificates/edge-ca.pem" -H "Authorization: $sas" -H 'Content-Type: application/json' \
        --data "{\"n\":$1}" "https://$edge/devices/leaf/messages/events?api-version=2020-03-13"
}
for _ in $(seq 100); do # the scope and the routes have come
    send 0 && break
    sleep 0.1
done
end "$hub_pid"
hub_pid=
for n in $(seq "$messages"); do send "$n" || { echo "message $n was not taken"; exit 1; }; done

# The upgrade: services down, the new version in, services up. All that waited is still there.
end_edge_units
inside sh -c 'apt-get install -y -qq --no-install-recommends /tmp/skerry-edge_*-2_*.deb' >"$dir/upgrade.log" 2>&1
inside dpkg-query -W -f '${Version}\n' skerry-edge | grep -q -- '-2$' || { echo "not upgraded"; exit 1; }
[ -s "$root/etc/aziot/config.toml" ] || { echo "the upgrade has taken the configuration"; exit 1; }
start_edge_units
start_unit skerry-hub && hub_pid=$!
wait_for $hub_ready
timeout 60 "$bin/skerry" events watch --from earliest --count $((messages + 1)) --output jsonl >"$dir/events" || true
count=$(jq -r 'select(.systemProperties["iothub-connection-device-id"] == "leaf" or .deviceId == "leaf") | (.body.n // .data.n)' "$dir/events" | sort -nu | wc -l)
[ "$count" = $((messages + 1)) ] || { echo "$count of $((messages + 1)) messages came"; head -n 2 "$dir/events"; exit 1; }

sleep 17 # a process gives back what only its start has needed after a quarter of a minute
memory=$(for pid in "$edge_pid" "$other_pids" $(pgrep -P "$other_pids"); do cat "/proc/$pid/smaps_rollup"; done | awk '/^Pss:/ { n += $2 } END { print n }')
[ "$memory" -le 7000 ] || { echo "the edge's roles need $memory kB"; exit 1; }

end_edge_units
inside apt-get remove -y -qq skerry-edge >"$dir/remove.log" 2>&1
[ ! -e "$root/usr/bin/skerry-edge" ] || { echo "the program is still there"; exit 1; }
[ -d "$root/var/lib/skerry/keys" ] || { echo "removing has taken the keys"; exit 1; }
inside apt-get purge -y -qq skerry-edge >"$dir/purge.log" 2>&1
[ ! -e "$root/var/lib/skerry" ] || { echo "purging has left data"; exit 1; }
echo "packages: installed, upgraded with $messages messages waiting, removed; its roles: $memory kB PSS"
