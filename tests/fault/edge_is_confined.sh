#!/usr/bin/env bash
# An edge, started as root, has a user, few capabilities and few system calls for each of its processes and modules, as the table of
# docs/decisions/0014-what-a-role-may-do.md says; what an older version left becomes theirs. It works all the same: modules send, files that only root may
# read are read, and a device's messages get through to the hub.
source "$(dirname "$0")/support.bash"
field() { awk -v f="$2:" '$1 == f { print $2 }' "/proc/$1/status"; } # field PID FIELD: its first number
role() { pgrep -P "$edge_pid" "$1"; }
module() { sed -n "s/.* module $1 started (pid \([0-9]*\))/\1/p" "$dir/edge.log" | tail -n 1; } # module NAME: its process
confined() { # confined WHO PID USER CAPABILITIES: these, no others to be had, and a filter
    expect "$1's user" "$(field "$2" Uid)" "$3"
    expect "$1's effective capabilities" "$(field "$2" CapEff)" "$4"
    expect "$1's permitted capabilities" "$(field "$2" CapPrm)" "$4"
    for set in CapInh CapAmb; do expect "$1's $set" "$(field "$2" $set)" 0000000000000000; done
    expect "$1: no new privileges" "$(field "$2" NoNewPrivs)" 1
    [ "$1" = "the parent" ] || expect "$1: a filter of system calls" "$(field "$2" Seccomp)" 2
}
none=0000000000000000 passing=0000000000000002 chown=0000000000000001 ports=0000000000000400 agents=00000000000000eb parents=00000000000005eb
check_roles() { # check_roles WHEN
    confined "the parent" "$edge_pid" 0 $parents
    confined "the edge hub $1" "$(role skerry-edgehub)" 61171 $ports
    confined "the daemon $1" "$(role skerry-daemon)" 61172 $chown
    confined "the agent $1" "$(role skerry-agent)" 0 $agents
    for name in edgehub daemon; do expect "$name's group $1" "$(field "$(role skerry-$name)" Gid)" "$(field "$(role skerry-$name)" Uid)"; done
    for name in edgehub daemon; do expect "$name's other groups $1" "$(field "$(role skerry-$name)" Groups)" ""; done
    expect "what the agent's modules can have at most $1" "$(field "$(role skerry-agent)" CapBnd)" $agents
    expect "what the daemon can have at most $1" "$(field "$(role skerry-daemon)" CapBnd)" $chown
}
as() { setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"; } # as USER COMMAND…
denied() { # denied SENTENCE USER COMMAND…
    expect "$1" "$(as "${@:2}" 2>&1 | grep -c 'ermission denied')" 1
}

make_hub
start_hub
wait_for $hub_ready
mkdir -m 700 "$dir/closed" # as a home folder is
cp /bin/sleep "$dir/closed/sleep"
writes() { # writes NAME: into its folder and by the path of its output, and goes on
    deployed "$1" "" /bin/sh -c "umask 077; cd; echo mine >mine; echo of-$1 >/dev/stdout; mount -t tmpfs none . 2>&1; /bin/true && echo starts-programs; exec sleep 1000"
}
make_edge "$(writes first)" "$(writes second)" "$(deployed sender "" "$bin/skerry-sim")" \
    "$(deployed named nobody /bin/sleep 1000)" "$(deployed roots root /bin/sleep 1000)" "$(deployed home "" "$dir/closed/sleep" 1000)"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$dir/closed/ca.key" -out "$dir/closed/ca.pem" -days 2 -subj /CN=given \
    2>/dev/null
chmod 600 "$dir"/closed/ca.*
printf 'trust_bundle_cert = "file://%s/closed/ca.pem"\n%s\n[edge_ca]\ncert = "file://%s/closed/ca.pem"\npk = "file://%s/closed/ca.key"\n' "$dir" "$(cat "$dir/edge.toml")" \
    "$dir" "$dir" >"$dir/edge.toml"
# As older versions left it: all of root.
mkdir -p "$dir/edge/hub" "$dir/edge/keys" "$dir/edge/modules/first/below"
touch "$dir/edge/hub/from-before" "$dir/edge/keys/from-before" "$dir/edge/modules/first/below/from-before"
ln -s /etc/hostname "$dir/edge/modules/first/link"
of_link=$(stat -Lc %u "$dir/edge/modules/first/link")
start_edge
wait_for $edge_ready
for _ in $(seq 200); do
    [ "$("$bin/skerry-edge" list --config "$dir/edge.toml" 2>/dev/null | grep -c ' running ')" -ge 6 ] && break
    sleep 0.1
done
check_roles "at first"

expect "the edge hub's older file" "$(stat -c %u "$dir/edge/hub/from-before")" 61171
expect "the daemon's older file" "$(stat -c %u "$dir/edge/keys/from-before")" 61172
expect "where the daemon's files are" "$(find "$dir/edge" -user 61172 -printf '%P\n' | grep -cvE '^(keys|certificates|sockets)(/|$)')" 0
for name in keys certificates hub; do expect "$name are closed" "$(stat -c %a "$dir/edge/$name")" 700; done
denied "the keys and the edge hub" 61171 cat "$dir/edge/keys/master.key"
expect "the edge hub's socket" "$(stat -c '%u %a' "$dir/edge/sockets/edgeHub.sock")" "61171 600"

# Modules. Names come in order: first, home (which had a number to try), named, roots, second, sender.
first=$(stat -c %u "$dir/edge/modules/first") second=$(stat -c %u "$dir/edge/modules/second") sender=$(stat -c %u "$dir/edge/modules/sender")
expect "the first one's user" "$first" 60600
expect "how many users three modules have" "$(printf '%s\n' "$first" "$second" "$sender" | sort -u | wc -l)" 3
for name in first second sender; do confined "module $name" "$(module $name)" "$(stat -c %u "$dir/edge/modules/$name")" $none; done
confined "a module with settings.user" "$(module named)" "$(id -u nobody)" $none
confined "a module of root" "$(module roots)" 0 $agents
confined "a module in a closed folder" "$(module home)" 0 $passing
expect "and it is said" "$(grep -c 'cannot get to the program or the files of module home' "$dir/edge.log")" 1
expect "the first one's older file" "$(stat -c %u "$dir/edge/modules/first/below/from-before")" "$first"
expect "its link is its own, and not what it leads to" "$(stat -c %u "$dir/edge/modules/first/link") $(stat -Lc %u "$dir/edge/modules/first/link")" "$first $of_link"
expect "what it wrote" "$(as "$first" cat "$dir/edge/modules/first/mine")" mine
denied "the second one in its folder" "$second" cat "$dir/edge/modules/first/mine"
denied "the second one at its log" "$second" cat "$dir/edge/logs/first.log"
expect "its socket" "$(stat -c '%u %a' "$dir/edge/sockets/first.sock")" "$first 600"
expect "the second one at its socket" "$(as "$second" curl -s --unix-socket "$dir/edge/sockets/first.sock" http://x/ >/dev/null || echo $?)" 7
log=$("$bin/skerry-edge" logs first --config "$dir/edge.toml")
expect "its output by path" "$(grep -c '^of-first$' <<<"$log")" 1
expect "it cannot mount" "$(grep -c 'ermission denied\|not permitted\|must be superuser' <<<"$log")" 1
reports() { "$bin/skerry" twin show edge/sender | grep -q SendInterval && echo yes || echo no; }
for _ in $(seq 100); do # by its socket, the daemon and the edge hub
    [ "$(reports)" = yes ] && break
    sleep 0.1
done
expect "what the sender reports to the hub" "$(reports)" yes
expect "it starts programs" "$(grep -c '^starts-programs$' <<<"$log")" 1

start_load "$dir/closed/ca.pem" --parent edge -- --gateway $edge
under_load $edge_ready
for name in skerry-edgehub skerry-daemon skerry-agent; do kill_hard "$(role $name)"; done # the next ones are no others
for name in skerry-edgehub skerry-daemon skerry-agent; do
    for _ in $(seq 100); do role $name >/dev/null && break || sleep 0.1; done
done
wait_for $edge_ready
for _ in $(seq 200); do
    [ "$(grep -c 'module sender started' "$dir/edge.log")" = 2 ] && [ -S "$dir/edge/sockets/second.sock" ] && break
    sleep 0.1
done
under_load $edge_ready
check_roles "after a restart"
for name in first second sender; do
    expect "the user of $name after a restart" "$(field "$(module $name)" Uid)" "${!name}"
done
expect "processes ended by their filter" "$(grep -c 'Bad system call\|signal 31' "$dir/edge.log")" 0
reckon "the edge is confined" || failed=1

# A parent that is killed takes all with it, those that have become other users too.
below=$(pgrep -P "$edge_pid" | tr '\n' ' ')
kill_hard "$edge_pid"
for _ in $(seq 150); do
    left=$(for pid in $below; do [ -e "/proc/$pid" ] && echo "$pid" || true; done)
    [ -z "$left" ] && break
    sleep 0.1
done
expect "roles whose parent was killed" "$left" ""
# The next edge starts on what it left, and on the place where older versions had the identities.
mv "$dir/edge/keys/identities.json" "$dir/edge/identities.json"
chown root: "$dir/edge/identities.json"
start_edge
wait_for $edge_ready || failed=1
expect "the identities' place and owner" "$(cd "$dir/edge" && stat -c '%n %u' identities.json keys/identities.json 2>/dev/null)" "keys/identities.json 61172"
exit $failed
