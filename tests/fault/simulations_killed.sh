#!/usr/bin/env bash
# Simulations that are kept in the hub: a runner starts and stops them; the runner, the process of a simulation and the hub are killed
# with -9 in the middle, and it goes on, with no device made twice. Of two runners one runs it. A script that never ends holds itself alone.
source "$(dirname "$0")/support.bash"
make_hub
start_hub
wait_for $hub_ready
api="https://$hub/devicesimulation/v1"
token=$("$bin/skerry" policy sas)
call() { curl -sS --cacert "$dir/hub/ca.pem" -H "Authorization: $token" -H 'Content-Type: application/json' "$@"; }
simulation() { call "$api/simulations/$1?api-version=2021-04-12"; }
member() { simulation "$1" | sed -n "s/.*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p"; } # member ID NAME
is() { [ "$(member "$1" "$2")" = "$3" ]; }
sent() { member "$1" TotalMessagesSent; }
sent_more() { [ "$(sent "$1")" -gt "$2" ]; }
devices() { "$bin/skerry" query "SELECT COUNT() AS n FROM devices WHERE tags.Simulation = '$1'" --output jsonl | sed 's/.*"n": *\([0-9]*\).*/\1/'; }
follow() { # follow NAME
    "$bin/skerry" sim follow --runner "$1" 2>>"$dir/$1.log" &
    followers="${followers:-} $!"
    other_pids=$followers
}
starts() { call -X PATCH -H 'If-Match: *' "$api/simulations/$1?api-version=2021-04-12" -d "{\"Enabled\":$2}" >/dev/null; }
process_of() { pgrep -P "$1" -f -- "--only $2"; }

call -X PUT "$api/simulations/plant?api-version=2021-04-12" -d '{"Name":"Plant","DeleteDevicesWhenSimulationEnds":true,"DeviceModels":[
  {"Id":"chiller-01","Count":30,"Override":{"Telemetry":[{"Interval":"00:00:01"}]}},{"Id":"truck-01","Count":10}]}' >/dev/null
expect "nobody runs it" "$(member plant Running)" false
follow one
first=$!
until_true is plant Running true || { echo "it was not started"; exit 1; }
until_true is plant ActiveDevicesCount 40 || { echo "40 devices did not connect"; exit 1; }
until_true sent_more plant 20

follow two
second=$!
sleep 1
expect "the second one runs nothing" "$(process_of $second plant | wc -l)" 0

before=$(sent plant)
kill_hard "$(process_of $first plant)" # the process of the simulation
until_true sent_more plant $((before + 40)) || { echo "it did not go on after its process was killed"; exit 1; }

before=$(sent plant)
kill_hard $hub_pid
start_hub
wait_for $hub_ready
until_true sent_more plant $((before + 40)) || { echo "it did not go on after the hub was killed"; exit 1; }

before=$(sent plant)
kill_hard $first # its process dies with it; the second takes over
followers=$second
other_pids=$second
until_true sent_more plant $((before + 40)) || { echo "the second runner did not take over"; exit 1; }
expect "who runs it" "$(member plant Runner)" two
expect "devices, none twice" "$(devices plant)" 40

starts plant false
until_true is plant DevicesDeletionComplete true || { echo "its devices were not removed"; exit 1; }
expect "devices that are left" "$(devices plant)" 0
expect "who has it" "$(member plant Runner)" null

# killed while it removes them: the next one does the rest
starts plant true
until_true is plant ActiveDevicesCount 40
kill_hard $second
starts plant false
follow three
until_true is plant DevicesDeletionComplete true || { echo "devices were left behind"; exit 1; }
expect "devices that are left again" "$(devices plant)" 0

# a script that loops, beside one that does not
call -X PUT "$api/devicemodels/loop?api-version=2021-04-12" -d '{"Simulation":{"Interval":"00:00:01","Scripts":[{"Type":"javascript","Path":"s.js"}]},
  "Telemetry":[{"Interval":"00:00:01","MessageTemplate":"{}"}],"Files":{"s.js":"function main() { while (true) {} }"}}' >/dev/null
call -X PUT "$api/devicemodels/wrong?api-version=2021-04-12" -d '{"Simulation":{"Interval":"00:00:01","Scripts":[{"Type":"javascript","Path":"s.js"}]},
  "Files":{"s.js":"function main( {"}}' >/dev/null
call -X PUT "$api/simulations/loop?api-version=2021-04-12" -d '{"Name":"Loop","DeviceModels":[{"Id":"loop","Count":1}]}' >/dev/null
call -X PUT "$api/simulations/wrong?api-version=2021-04-12" -d '{"Name":"Wrong","DeviceModels":[{"Id":"wrong","Count":1}]}' >/dev/null
starts plant true
says_why() { simulation "$1" | grep -q "\"Error\":\"[^\"]*$2"; }
until_true says_why wrong SyntaxError || { echo "nobody was told of a script that is wrong"; exit 1; }
until_true says_why loop "never ends" || until_true says_why loop "never ends" || until_true says_why loop "never ends" ||
    { echo "nobody was told of a script that loops"; exit 1; }
before=$(sent plant)
until_true sent_more plant "$before" || { echo "the others do not go on"; exit 1; }

# what is there already is run, by the command as well
starts plant false
"$bin/skerry" sim run again --devices truck-01=3 --for 1s --output jsonl >/dev/null
"$bin/skerry" sim run again --devices truck-01=4 --for 1s --output jsonl >/dev/null
expect "devices of the command" "$(devices again)" 4
exit $failed
