#!/usr/bin/env bash
# The edge hub, started as root, is a user of its own without capabilities, cannot get new privileges and makes few system calls; an
# older data folder becomes its own. It works all the same: a device's message gets through to the hub.
source "$(dirname "$0")/support.bash"
failed=0
expect() { # expect SENTENCE GOT WANTED
    [ "$2" = "$3" ] && return
    echo "$1: $2 instead of $3"
    failed=1
}
status() { # status FIELD: of the edge hub's process, its first number
    awk -v f="$1:" '$1 == f { print $2 }' "/proc/$role/status"
}

make_hub
start_hub
wait_for $hub_ready
make_edge
mkdir -p "$dir/edge/hub"
touch "$dir/edge/hub/from-before" # of root, as older versions left it
start_edge
wait_for $edge_ready
role=$(pgrep -P "$edge_pid" skerry-edgehub)
expect "its user" "$(status Uid)" 61171
expect "its group" "$(status Gid)" 61171
expect "its other groups" "$(status Groups)" ""
for set in CapInh CapAmb; do expect "$set" "$(status $set)" 0000000000000000; done
for set in CapPrm CapEff; do expect "$set: ports below 1024" "$(status $set)" 0000000000000400; done
expect "no new privileges" "$(status NoNewPrivs)" 1
expect "a filter of system calls" "$(status Seccomp)" 2
expect "the user of what was there" "$(stat -c %u "$dir/edge/hub/from-before")" 61171
expect "what it can read of the keys" "$(setpriv --reuid 61171 --regid 61171 --clear-groups cat "$dir/edge/keys/master.key" 2>&1 | grep -c 'ermission denied')" 1
expect "others still cannot open its socket" "$(stat -c '%u %a' "$dir/edge/sockets/edgeHub.sock")" "61171 600"
expect "the daemon's user" "$(awk '$1 == "Uid:" { print $2 }' "/proc/$(pgrep -P "$edge_pid" skerry-daemon)/status")" 0

start_load "$dir/edge/certificates/edge-ca.pem" --parent edge -- --gateway $edge
under_load $edge_ready
kill_hard "$role" # the next one is no other
wait_for $edge_ready
under_load $edge_ready
role=$(pgrep -P "$edge_pid" skerry-edgehub)
expect "its user after a restart" "$(status Uid)" 61171
expect "warnings of its own" "$(grep -c 'Bad system call\|signal 31' "$dir/edge.log")" 0
reckon "the edge hub is confined" || failed=1
exit $failed
