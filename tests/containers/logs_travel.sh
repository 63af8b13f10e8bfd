#!/usr/bin/env bash
# Logs of containers and processes: on the device, by direct methods with their filters, and uploaded to a blob store with the support bundle.
source "$(dirname "$0")/support.bash"
box localhost/talk:1 'for i in 1 2 3; do echo "<6> 2026-11-21 07:00:0$i.000 +00:00 line $i"; done; echo "<3> 2026-11-21 07:00:09.000 +00:00 bad"; echo own >&2; sleep 2; echo late; exec sleep 1000'
python3 "$(dirname "$0")/programs/blobs.py" 10000 "$dir/blobs" 2>"$dir/blobs.log" &
other_pids=$!
start_edge
deploy "$(module talk localhost/talk:1 "" "$local_only")" \
    '"proc": {"type": "process", "status": "running", "restartPolicy": "always", "settings": {"command": ["/bin/sh", "-c", "echo from a process; exec sleep 1000"]}}'
for name in talk proc; do until_is "$name runs" running stands $name; done
until_is "the last line" late edge_says logs talk --tail 1
method() { "$bin/skerry" method call 'edge/$edgeAgent' "$1" --payload "$2" --output json 2>&1; }
item() { method GetModuleLogs "{\"schemaVersion\":\"1.0\",\"items\":[{\"id\":\"talk\",\"filter\":{$1}}]}" | jq -j '.payload[0].payload' | tr '\n' '|'; }
stamp='2026-11-21 07:00:0'
expect "all" "$(item "" | grep -o '|' | wc -l)" 6
expect "by level" "$(item '"loglevel": 3')" "<3> ${stamp}9.000 +00:00 bad|"
expect "by text" "$(item '"regex": "line [12]$"')" "<6> ${stamp}1.000 +00:00 line 1|<6> ${stamp}2.000 +00:00 line 2|"
expect "the last ones" "$(item '"tail": 2' )" "own|late|"
expect "since an hour ago" "$(item '"since": "1h", "tail": 1')" "late|"
expect "up to an hour ago" "$(item '"until": "1h"')" ""
expect "what wrote where" "$(method GetModuleLogs '{"schemaVersion":"1.0","items":{"id":"talk","filter":{"regex":"^own$"}},"contentType":"json"}' |
    jq -r '.payload[0].payload | fromjson | .[0] | .stream + " " + .device + " " + (.loglevel | tostring)')" "stderr edge 6"
expect "a mistake" "$(method GetModuleLogs '{"schemaVersion":"1.0","items":{"id":"talk","filter":{"loglevel":8}}}' | grep -c 'loglevel must be')" 1
expect "another method" "$(method Dance 1 | grep -c 'ping, RestartModule, GetModuleLogs, UploadModuleLogs, UploadSupportBundle, GetTaskStatus')" 1
expect "on the device" "$(edge_says logs proc)" "from a process"
timeout 3 "$bin/skerry-edge" logs talk --follow --tail 1 --config "$dir/edge.toml" >"$dir/followed" || true
expect "followed" "$(cat "$dir/followed")" late

task() { method GetTaskStatus "{\"schemaVersion\":\"1.0\",\"correlationId\":\"$1\"}" | jq -r '.payload.status + " " + .payload.message'; }
uploads() { method "$1" "{\"schemaVersion\":\"1.0\",\"sasUrl\":\"http://127.0.0.1:10000/box?sv=1&sig=$2\"$3}" | jq -r .payload.correlationId; }
until_is "logs are uploaded" "Completed " task "$(uploads UploadModuleLogs secret ', "items": [{"id": "."}], "encoding": "gzip"')"
blob() { find "$dir/blobs/box/127.0.0.22/edge" -regextype egrep -regex ".*/$1-[0-9]{4}-[0-9]{2}-[0-9]{2}--[0-9]{2}-[0-9]{2}-[0-9]{2}\.$2"; }
expect "one blob a module" "$(gunzip -c <"$(blob talk log.gz)" | tail -n 1) $(gunzip -c <"$(blob proc log.gz)")" "late from a process"
until_like "a store that says no" '^Failed the blob store refused it: 403' task "$(uploads UploadModuleLogs wrong ', "items": [{"id": "talk"}]')"
until_is "the bundle is uploaded" "Completed " task "$(uploads UploadSupportBundle secret ', "since": "1d"')"
expect "and has logs" "$(unzip -l "$(blob support-bundle zip)" | grep -c 'logs/talk_log.txt')" 1
expect "nothing is left of it" "$(find "$dir/edge/agent" -name '*.zip' | wc -l)" 0
expect "a task that nobody knows" "$(task nobody)" "Unknown "
exit $failed
