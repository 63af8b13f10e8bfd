#!/usr/bin/env bash
# Images: credentials, updates, versions that do not come up, registries that are gone. What runs is stopped when the next image is there, and
# not before.
source "$(dirname "$0")/support.bash"
for version in 1 2; do
    box $registry/app:$version "echo version $version; exec sleep 1000"
    push $registry/app:$version
done
box $registry/app:broken 'echo broken; exit 3'
push $registry/app:broken
start_edge
container_of() { pod inspect --format '{{.ImageName}}' "$1"; }

good=$credentials
credentials=
deploy "$(module app $registry/app:1)"
until_like "without credentials it is told" 'Image of module app: .*(unauthorized|authentication required)' stands app statusDescription
credentials=$good
deploy "$(module app $registry/app:1)"
until_is "with them it runs" running stands app
until_is "the hub is told" 200 agent_reports .lastDesiredStatus.code
first=$(container_id app)

deploy "$(module app $registry/app:nowhere)"
until_like "an update to an image that is not there fails" '^Image of module app: ' agent_reports .lastDesiredStatus.description
expect "what ran runs on" "$(stands app) $(container_id app)" "running $first"
pod kill --signal KILL app >/dev/null
until_is "and is restarted while the next image is being tried" "1" stands app restartCount
until_is "it runs again" running stands app

deploy "$(module app $registry/app:2)"
until_is "an update" $registry/app:2 container_of app
until_is "runs" running stands app
until_is "the failure is forgotten" 200 agent_reports .lastDesiredStatus.code
second=$(container_id app)

# Only the desired status changes: it is the same container.
deploy "$(module app $registry/app:2 | sed 's/"status": "running"/"status": "stopped"/')"
until_is "stopped" stopped stands app
deploy "$(module app $registry/app:2)"
until_is "started" running stands app
expect "the same container" "$(container_id app)" "$second"

# A version that does not come up.
back='"skerry": {"rollback": true}'
deploy "$(module app $registry/app:2 "$back")"
until_like "with roll-back" . container_of app
until_is "it runs" running stands app
deploy "$(module app $registry/app:broken "$back" '"version": "9"')"
until_like "the new version did not come up" 'new version of module app did not come up .*the one before is back' agent_reports .lastDesiredStatus.description
until_is "the one before runs" running stands app
expect "of its image" "$(pod inspect --format '{{.Image}}' app)" "$(pod image inspect --format '{{.Id}}' $registry/app:2)"

# The registry is gone: what is on the device does.
kill "$registry_pid"
wait "$registry_pid" || true
registry_pid=
deploy "$(module app $registry/app:1 "" '"version": "10"')"
until_is "made of the image on the device" $registry/app:1 container_of app
until_like "and it is said" 'running; its image could not be pulled' stands app statusDescription
until_is "which is no failure" 200 agent_reports .lastDesiredStatus.code
exit $failed
