#!/usr/bin/env bash
# Containers of a deployment run: they get their environment and socket, reach the edge hub by its name and one another by theirs, and live
# on when roles of the edge die.
source "$(dirname "$0")/support.bash"
box $registry/hello:1 'env; id -u; cat /etc/hosts; ls -l /var/run/iotedge; echo trouble >&2; exec sleep 1000'
push $registry/hello:1
box localhost/web:1 'mkdir -p /tmp/www; echo served >/tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www'
box localhost/asks:1 'until wget -q -O - http://web:8080/; do sleep 0.2; done; exec sleep 1000'
put "$dir/sim" "$bin/skerry-sim"
image "$dir/sim" localhost/sim:1 "ENTRYPOINT [\"$bin/skerry-sim\"]"
start_edge
deploy "$(module hello $registry/hello '"createOptions": "{\"Env\":[\"MINE=1\",\"IOTEDGE_AUTHSCHEME=own\"],\"User\":\"1234\",\"Labels\":{\"color\":\"red\"}}"')"
until_like "an image without a tag is the latest, and this one is not there" 'hello:latest.*(manifest unknown|not found)' stands hello statusDescription
expect "what is not made yet" "$(stands hello)" unknown
until_like "the deployment failed" 'status 500 Image of module hello: ' edge_says status
deploy "$(module hello $registry/hello:1 '"createOptions": "{\"Env\":[\"MINE=1\",\"IOTEDGE_AUTHSCHEME=own\"],\"User\":\"1234\",\"Labels\":{\"color\":\"red\"}}"' '"env": {"MINE": {"value": "2"}, "MORE": {"value": "3"}}')" \
    "$(module web localhost/web:1 "" "$local_only, \"startupOrder\": 1")" "$(module asks localhost/asks:1 "" "$local_only")" \
    "$(module sim localhost/sim:1 "" "$local_only, \"env\": {\"SKERRY_SIM_INTERVAL\": {\"value\": \"1\"}}")"
for name in hello web asks sim; do until_is "$name runs" running stands $name; done
until_is "the hub is told" running agent_reports .modules.hello.runtimeStatus
expect "and what of it" "$(agent_reports '.modules.hello.settings.image')" $registry/hello:1
expect "its image" "$(agent_reports '.modules.hello.settings.imageHash')" "$(pod image inspect --format 'sha256:{{.Id}}' $registry/hello:1)"
expect "its options" "$(agent_reports '.modules.hello.settings.createOptions' | jq -r .User)" 1234
expect "the deployment" "$(agent_reports .lastDesiredStatus.code)" 200
expect "no password" "$(agent_reports .runtime.settings.registryCredentials.r | jq -c .)" "{\"address\":\"$registry\",\"username\":\"puller\"}"
expect "the edge hub is ours, whatever its image" "$(agent_reports '.systemModules.edgeHub | .runtimeStatus + " " + .settings.image')" "running mcr.example/runtime:1.5"

log=$(edge_says logs hello)
says() { grep -c -- "$1" <<<"$log"; } # says PATTERN: how many lines
expect "createOptions' Env wins over the manifest's" "$(says '^MINE=1$')" 1
expect "and over ours" "$(says '^IOTEDGE_AUTHSCHEME=own$')" 1
expect "the manifest's env" "$(says '^MORE=3$')" 1
expect "its id" "$(says '^IOTEDGE_MODULEID=hello$')" 1
expect "where it finds the daemon" "$(says '^IOTEDGE_WORKLOADURI=unix:///var/run/iotedge/workload.sock$')" 1
expect "its user" "$(says '^1234$')" 1
expect "the gateway in its hosts file" "$(says '^10\..*[[:space:]]gateway.test$')" 1
expect "its socket" "$(says '^srw-rw-rw-.* workload.sock$')" 1
expect "what it wrote to stderr" "$(says '^trouble$')" 1
expect "its last line" "$(edge_says logs hello --tail 1)" "$(tail -n 1 <<<"$log")"
expect "label of the user" "$(pod inspect --format '{{.Config.Labels.color}}' hello)" red
expect "label of Azure" "$(pod inspect --format '{{index .Config.Labels "net.azure-devices.edge.owner"}}' hello)" Microsoft.Azure.Devices.Edge.Agent
expect "the folder above the sockets is closed" "$(stat -c %a "$dir/edge/sockets/containers")" 700
called() { curl -s -o "$dir/called" -w '%{http_code}' --unix-socket "$dir/edge/sockets/containers/hello/workload.sock" "http://daemon/trust-bundle?api-version=2022-08-03"; }
expect "a process of the machine at a container's socket" "$(called)" 403
expect "and why" "$(grep -c 'is in no container' "$dir/called")" 1
expect "and it is in the log" "$(grep -c 'a call for module hello is refused: Process' "$dir/edge.log")" 1
until_is "a module reaches another by its name" served edge_says logs asks

# What modules use is measured when somebody asks.
metrics() { curl -s http://127.0.0.1:9602/metrics >"$dir/metrics"; }
metric() { grep "^edgeAgent_$1{.*$2" "$dir/metrics" | sed 's/.*} //'; } # metric NAME LABELS: of the page that was read last
more() { awk "BEGIN { print (${1:-0} > $2) ? \"more\" : \"only ${1:-nothing}\" }"; }
metrics
for name in used_memory_bytes created_pids_total total_network_in_bytes; do
    expect "of a container: $name" "$(more "$(metric $name 'module_name="sim"')" 0)" more
    expect "of the edge hub: $name" "$(more "$(metric $name 'module_name="edgeHub"')" 0)" "$([ $name = total_network_in_bytes ] && echo "only nothing" || echo more)"
done
expect "how it has used the processors" "$(more "$(metric used_cpu_percent_count 'module_name="sim"')" 0)" more
expect "how long it has run" "$(more "$(metric total_time_running_correctly_seconds 'module_name="sim"')" 0)" more
expect "starts" "$(metric module_start_total 'module_name="sim"')" 1
expect "makings" "$(metric command_latency_seconds_count 'command="create"')" 4
expect "the machine's memory" "$(metric total_memory_bytes 'module_name="host"')" $(($(awk '/^MemTotal:/ { print $2 }' /proc/meminfo) * 1024))
expect "the disk" "$(more "$(metric available_disk_space_bytes 'disk_filesystem="tmpfs"')" 1000000)" more
expect "the deployment" "$(more "$(metric deployment_time_seconds_sum '')" 0)" more
expect "what runs here" "$(metric metadata 'host_information="{.*Debian')" 0
expect "no other page" "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9602/)" 404

# What the module of the C SDK needs: the daemon's signature, the edge hub by name, the hub above it.
reports() { "$bin/skerry" twin show edge/sim | grep -q SendInterval && echo yes; }
until_is "a module reports to the hub" yes reports

# Roles that die take nothing with them.
role() { pgrep -P "$edge_pid" "$1"; }
before=$(container_id sim)
started=$(stands sim lastStartTimeUtc)
kill -9 "$(role skerry-agent)"
until_like "a new agent" '^[0-9]+$' role skerry-agent
until_is "finds the container running" running stands sim
expect "and leaves it alone" "$(container_id sim) $(stands sim lastStartTimeUtc)" "$before $started"
kill -9 "$(role skerry-daemon)" "$(role skerry-edgehub)"
until_like "a new daemon" '^[0-9]+$' role skerry-daemon
wait_for $edge_ready
"$bin/skerry" twin update edge/sim --desired '{"SendInterval": 7}' >/dev/null
reports_7() { "$bin/skerry" twin show edge/sim --output json | jq '.properties.reported.SendInterval'; }
until_is "the module's folder shows it the new daemon's socket" 7 reports_7
expect "it is the same container" "$(container_id sim)" "$before"

# Restarted by hand, stopped, removed.
edge_says restart web >/dev/null
restarted() { [ "$(stands web lastStartTimeUtc)" \> "$started" ] && stands web; }
until_is "restart" running restarted
deploy "$(module sim localhost/sim:1 "" "$local_only, \"env\": {\"SKERRY_SIM_INTERVAL\": {\"value\": \"1\"}}" | sed 's/"status": "running"/"status": "stopped"/')"
until_is "stopped by the deployment" stopped stands sim
expect "it is still made" "$(container_id sim)" "$before"
left() { pod ps --all --format '{{.Names}}' | sort | tr '\n' ' '; }
until_is "what is not deployed is removed" "sim " left
stop_edge
exit $failed
