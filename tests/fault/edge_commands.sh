#!/usr/bin/env bash
# What people type on an edge, while it runs and while it does not: list, logs, restart, queues, check, support-bundle, config; and the local
# page, which shows itself to whom has its key and no secret to anybody.
source "$(dirname "$0")/support.bash"
edge_says() { "$bin/skerry-edge" "$@" --config "$dir/edge.toml"; }
verdict() { edge_says check --output json >"$dir/check.json" 2>/dev/null || true; jq -r ".checks[\"$1\"].result.result" "$dir/check.json"; }
page=http://$edge:9680
asked() { curl -s -o "$dir/answer" -w '%{http_code}' "$@"; }

make_hub
start_hub
wait_for $hub_ready
talker=$(deployed talker "" /bin/sh -c 'echo "my word is $WORD"; exec sleep 1000')
make_edge "${talker%\}}, \"env\": {\"WORD\": {\"value\": \"xyzzy\"}}}" "$(deployed broken "" /bin/false)" "$(deployed brief "" /bin/true)"
sed -i "/^data = /a page = \"$edge:9680\"" "$dir/edge.toml"

expect "list of an edge that does not run" "$(edge_says list 2>&1 >/dev/null | grep -c 'does not answer')" 1
expect "check: the ports are free" "$(verdict host-ports)" ok
expect "check: no agent" "$(verdict agent-running)" error
expect "check: the way to the hub is open" "$(verdict host-connect-iothub-mqtt)" ok
expect "check: the clocks agree" "$(verdict host-local-time)" ok
expect "a check that is left out" "$(edge_says check --dont-run agent-running --output json | jq -r '.checks["agent-running"].result.result')" ignored
code=0
edge_says check --dont-run none 2>/dev/null >&2 || code=$?
expect "a check that nobody knows" $code 2

absent=$("$bin/skerry-edge" list --config "$dir/absent.toml" 2>&1 || true)
expect "a file that is not there" "$(grep -c 'is not there; `skerry-edge config mp' <<<"$absent")" 1

python3 -c 'import socket, sys, time; s = socket.create_server((sys.argv[1], 8883)); print("here", flush=True); time.sleep(1000)' "$edge" >"$dir/other" &
other=$!
until [ -s "$dir/other" ]; do sleep 0.05; done
start_edge
for _ in $(seq 100); do
    [ "$(verdict host-ports)" = error ] && [ "$(verdict edge-hub-running)" = ok ] && break
    sleep 0.1
done
expect "check: another program has a port" "$(verdict host-ports)" error
kill $other
for _ in $(seq 100); do
    [ "$(verdict host-ports)" = ok ] && break
    sleep 0.1
done
expect "check: the edge hub has them now" "$(verdict host-ports)" ok
for _ in $(seq 100); do
    edge_says list 2>/dev/null | grep -q '^talker *running' && break
    sleep 0.1
done
expect "list tells how it stands" "$(edge_says list | grep -c '^talker *running *Up .*/bin/sh$')" 1
expect "and what failed" "$(edge_says list | grep -c '^broken .*Failed (1) ')" 1
expect "logs" "$(edge_says logs talker --tail 1)" "my word is xyzzy"
expect "restart says which" "$(edge_says restart talker)" talker
expect "check: the deployment" "$(verdict deployment-in-force)" ok
expect "check: a module that fails" "$(verdict modules-as-desired)" error
expect "check: leaf devices come in" "$(verdict leaf-to-gateway-tls)" ok
expect "queues" "$(edge_says queues | grep -c '^ *[0-9]*  \$upstream ')" 1
expect "what becomes of a message" "$(edge_says route explain edge --module talker --output out | grep -c '^up  *yes  *\$upstream ')" 1
expect "and of one that is no message" "$(edge_says route explain edge --twin-change | grep -c 'No route takes it')" 1
# Azure's management API, as `iotedge --host unix://…/agent.sock` uses it.
managed() { asked --unix-socket "$dir/edge/agent.sock" "$@"; }
hex() { od -An -v -tx1 | tr -d ' \n'; }
api='api-version=2022-08-03'
expect "the API: modules" "$(managed "http://edge/modules?$api") $(jq -r '.modules[] | select(.name == "talker") | .status.runtimeStatus.status' "$dir/answer")" "200 running"
expect "the API: one" "$(managed "http://edge/modules/edgeHub?$api") $(jq -r .name "$dir/answer")" "200 edgeHub"
stands() { managed "http://edge/modules/$1?$api" >"$dir/code"; jq -r '.status.runtimeStatus.status' "$dir/answer"; }
expect "the API: what waits for its restart, by how it ended" "$(stands brief) $(stands broken)" "stopped failed"
expect "the API: none" "$(managed "http://edge/modules/nobody?$api")" 404
expect "the API: a log in frames" "$(managed "http://edge/modules/talker/logs?$api&tail=1") $(hex <"$dir/answer")" "200 0100000000000011$(echo 'my word is xyzzy' | hex)"
expect "the API: the machine" "$(managed "http://edge/systeminfo?$api") $(jq -r .osType "$dir/answer")" "200 linux"
expect "the API: start of what runs" "$(managed -X POST "http://edge/modules/talker/start?$api")" 304
expect "the API: stop" "$(managed -X POST "http://edge/modules/talker/stop?$api")" 204
down() { for _ in $(seq 200); do edge_says list | grep -q '^talker *\(stopped\|backoff\|failed\)' && break; sleep 0.1; done; }
down
expect "the API: start" "$(managed -X POST "http://edge/modules/talker/start?$api")" 204
for _ in $(seq 100); do edge_says list | grep -q '^talker *running' && break; sleep 0.1; done
expect "it runs again" "$(edge_says list | grep -c '^talker *running')" 1

queue=$(edge_says queues --json | jq '.[0].queue')
expect "a queue is given up" "$(edge_says queue purge "$queue")" "0 messages were given up"
expect "none is not" "$(edge_says queue purge 17 2>&1 | grep -c skerry-edge:)" 1

url=$(edge_says page)
key=${url#*#key=}
expect "the page's address" "${url%#*}" "$page/"
expect "the key is root's" "$(stat -c %a "$dir/edge/agent/page.key")" 600
expect "the page itself is anybody's" "$(asked "$page/")" 200
expect "its data are not" "$(asked "$page/api/status")" 401
expect "nor with another key" "$(asked -H "Authorization: Bearer ${key%?}z" "$page/api/status")" 401
expect "nor logs" "$(asked "$page/api/modules/talker/logs")" 401
expect "with the key they are" "$(asked -H "Authorization: Bearer $key" "$page/api/status")" 200
expect "modules" "$(jq -r '.modules[] | select(.name == "talker") | .runtimeStatus' "$dir/answer")" running
expect "the edge hub's queues" "$(jq -r '.edgeHub.queues[0].endpoint' "$dir/answer")" '$upstream'
expect "no secrets" "$(grep -c xyzzy "$dir/answer")" 0
expect "a log" "$(asked -H "Authorization: Bearer $key" "$page/api/modules/talker/logs") $(tail -n 1 "$dir/answer")" "200 my word is xyzzy"
expect "no log" "$(asked -H "Authorization: Bearer $key" "$page/api/modules/nobody/logs")" 404
expect "no page" "$(asked "$page/other")" 404
expect "nothing is changed by it" "$(asked -X POST "$page/api/status")" 405

edge_says support-bundle --output "$dir/bundle.zip" >/dev/null
expect "the bundle has the checks" "$(unzip -p "$dir/bundle.zip" check.json | jq -r '.checks["agent-running"].result.result')" ok
expect "logs" "$(unzip -p "$dir/bundle.zip" logs/talker_log.txt | tail -n 1)" "my word is xyzzy"
expect "modules without their environment" "$(unzip -p "$dir/bundle.zip" 'inspect/*' | grep -c xyzzy)" 0
device_key=$("$bin/skerry" device connection-string edge | sed 's/.*SharedAccessKey=//')
expect "and no key" "$(unzip -p "$dir/bundle.zip" | grep -cF "$device_key")" 0
expect "to standard output as well" "$(edge_says support-bundle --output - --include-edge-runtime-only | head -c 2)" PK

"$bin/skerry-edge" config mp --connection-string "$("$bin/skerry" device connection-string edge)" --out-config-file "$dir/mp/config.toml" >/dev/null
expect "config mp writes a file" "$("$bin/skerry-edge" check --verbose --config "$dir/mp/config.toml" | grep -c 'provisioning.source = "manual"')" 1
expect "that is root's" "$(stat -c %a "$dir/mp/config.toml")" 600
code=0
"$bin/skerry-edge" config mp --connection-string 'HostName=a;DeviceId=b;SharedAccessKey=AAAA' --out-config-file "$dir/mp/config.toml" 2>/dev/null >&2 || code=$?
expect "and replaces none" $code 1
expect "config show" "$(edge_says config show | grep -cF "$device_key")" 0
cat >"$dir/config.yaml" <<'YAML'
provisioning:
  source: "manual"
  device_connection_string: "HostName=hub.example;DeviceId=edge1;SharedAccessKey=AAAA"
agent:
  env: {UpstreamProtocol: "AmqpWs"}
  config: {image: "mcr.microsoft.com/azureiotedge-agent:1.1"}
hostname: "gateway.example"
moby_runtime: {uri: "unix:///var/run/docker.sock", network: {name: "azure-iot-edge"}}
YAML
"$bin/skerry-edge" config import --config-file "$dir/config.yaml" --out-config-file "$dir/imported.toml" >"$dir/told"
expect "config import says what it left out" "$(grep -c '^agent.config is left out' "$dir/told")" 1
counts=$("$bin/skerry-edge" check --verbose --config "$dir/imported.toml" 2>/dev/null || true)
for line in 'hostname = "gateway.example"' 'agent.env.UpstreamProtocol = "AmqpWs"' 'moby_runtime.network = "azure-iot-edge"'; do
    expect "config import brings $line" "$(grep -cF "$line" <<<"$counts")" 1
done
echo 'a: [1,' >"$dir/config.yaml"
expect "what is no YAML" "$("$bin/skerry-edge" config import --config-file "$dir/config.yaml" --out-config-file "$dir/none.toml" 2>&1 | grep -c 'line 2')" 1
[ $failed = 0 ] && echo "people on an edge learn how it stands"
exit $failed
