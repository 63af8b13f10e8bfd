#!/usr/bin/env bash
# What befalls containers and their engine: crashes, health, removal by somebody, an engine that is killed, hangs or is away, a start without hub,
# registry or network. Modules that are processes go on whatever the engine does.
source "$(dirname "$0")/support.bash"
box localhost/app:1 'echo up; exec sleep 1000'
box localhost/sick:1 'touch /tmp/well; exec sleep 1000'
check='"createOptions": {"Healthcheck": {"Test": ["CMD-SHELL", "test -e /tmp/well"], "Interval": 3600000000000, "Retries": 1}}'
process='"proc": {"type": "process", "status": "running", "restartPolicy": "always", "settings": {"command": ["/bin/sleep", "1000"]}}'
start_edge
other=$(module other localhost/app:1 "" "$local_only")
deploy "$(module app localhost/app:1 "" "$local_only")" "$(module sick localhost/sick:1 "$check" "$local_only")" "$other" "$process"
for name in app sick other proc; do until_is "$name runs" running stands $name; done

pod kill --signal KILL app >/dev/null
until_is "a crash waits for its restart" backoff stands app
expect "how it ended" "$(stands app exitCode)" 137

# While it waits, another one's check fails. Podman's checks are run by systemd's timers; here by us.
sick() { pod healthcheck run sick >/dev/null || true; stands sick; }
until_is "healthy" running sick
pod exec sick /bin/rm /tmp/well
until_is "a check that fails" unhealthy sick
until_is "after a crash it is restarted" running stands app
expect "which is counted" "$(stands app restartCount)" 1
until_is "a check that fails is a reason to restart" running stands sick
expect "which is counted" "$(stands sick restartCount)" 1

before=$(container_id app)
another() { local id; id=$(container_id app) && [ "$id" != "$before" ] && stands app; }
pod rm --force --time 0 app >/dev/null
until_is "a container that somebody removes is made anew" running another

# Somebody removes it while somebody else restarts it.
for _ in 1 2 3; do
    before=$(container_id app)
    edge_says restart app >/dev/null
    pod rm --force --time 0 app >/dev/null || true
    until_is "restarted and removed at once" running another
done

# The engine dies: what it started lives on, and nobody restarts it.
before=$(container_id app) started=$(stands app lastStartTimeUtc) other_before=$(container_id other)
stop_engine
down() { agent_reports .lastDesiredStatus.code; tail -n 20 "$dir/edge.log" | grep -c 'container engine at'; }
until_like "the loss is noted" '[1-9]' down
kill -9 "$(pgrep -P "$(pgrep -P "$edge_pid" skerry-agent)" sleep)"
until_is "a process is restarted without the engine" 1 stands proc restartCount
pod kill --signal KILL other >/dev/null
start_engine
until_is "what happened meanwhile is seen" backoff stands other
expect "what runs is left alone" "$(container_id app) $(stands app lastStartTimeUtc)" "$before $started"

# It hangs while one waits for its restart: the same.
kill -STOP "$engine_pid"
deploy "$(module app localhost/app:1 "" "$local_only, \"version\": \"2\"")" "$other" "$process"
measured() { curl -s -m 20 http://127.0.0.1:9602/metrics | grep -o '^edgeAgent_used_memory_bytes{.*module_name="[a-z]*"' | sed 's/.*module_name="\(.*\)"/\1/'; }
expect "metrics come all the same" "$(measured | grep -c -e '^host$' -e '^proc$') $(measured | grep -c '^app$')" "2 0"
until_like "a hanging engine is told" 'container engine at .* does not answer' agent_reports .lastDesiredStatus.description
kill -CONT "$engine_pid"
until_is "an update that had to wait" running another
until_is "a restart that had to wait" running stands other
expect "of the same container" "$(container_id other)" "$other_before"
until_like "which is counted" '^[1-9]' stands other restartCount
until_is "the failure is forgotten" 200 agent_reports .lastDesiredStatus.code

# All stops, and starts again without the cloud.
stop_edge
expect "containers end with the edge" "$(pod ps --format '{{.Names}}')" ""
kill "$hub_pid" "$registry_pid"
wait "$hub_pid" "$registry_pid" || true
hub_pid= registry_pid=
before=$(container_id app)
"$bin/skerry-edge" run --config "$dir/edge.toml" 2>>"$dir/edge.log" &
edge_pid=$!
for name in app proc; do until_is "$name starts without a hub" running stands $name; done
expect "and is the same container" "$(container_id app)" "$before"
pod rm --force --time 0 app >/dev/null
until_is "it is made anew without a hub" running another
exit $failed
