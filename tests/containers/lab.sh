#!/usr/bin/env bash
# Does what docs/labs/06-iot-edge.md tells its reader, line by line, in a network, /tmp and /var/lib of its own, and looks whether it came about.
# script/build and script/package have been run already. Needs root.
set -euo pipefail
source "$(dirname "$0")/../support/documents.bash"
is_alone || "$(dirname "$0")/../../script/package" modules
alone "$1"
for folder in /var/lib /run /dev/shm; do mount -t tmpfs lab $folder; done
export CONTAINERS_CONF=/tmp/containers.conf
cp /etc/hosts /tmp/hosts
mount --bind /tmp/hosts /etc/hosts
cat >$CONTAINERS_CONF <<CONF
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
CONF
printf '#!/bin/sh\nfor image in sim filter; do podman load -q -i %s/build/packages/skerry-$image-*.tar; done\n' "$root" >script/package
chmod +x script/package
end_containers() {
    local code=$? dns=/run/containers/networks/aardvark-dns/aardvark.pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done # the agent first: it would make them again
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    pids=()
    podman rm --all --force --time 0 >/dev/null 2>&1 || true
    podman network prune --force >/dev/null 2>&1 || true
    [ ! -e $dns ] || kill "$(cat $dns)" 2>/dev/null || true
    umount -R /var/lib/containers/storage/overlay 2>/dev/null || true
    (exit $code) || finish
    finish
}
trap end_containers EXIT
podman load -q -i "$root"/build/packages/skerry-sim-*.tar >/dev/null
podman run --rm --entrypoint /usr/bin/skerry-sim localhost/skerry-sim:latest >/tmp/probe 2>&1 || # it has no edge to connect to, and says so
    grep -q IOTEDGE /tmp/probe || { echo "skipped: this machine runs no containers: $(tail -n 1 /tmp/probe)"; trap - EXIT; exit 77; }

follow "$root/docs/labs/06-iot-edge.md"
runs() { podman ps --format '{{.Names}}' | grep -x tempSensor; }
patiently runs # it has been told to restart just now
grep -q '^tempSensor *running' /tmp/out || { echo "tempSensor is not in the list" >&2; exit 1; }
grep -q '"moduleId": *"filter"' /tmp/out || { echo "nothing of the filter came to the cloud" >&2; exit 1; }
grep -q 'yes *modules/filter/inputs/input1' /tmp/out || { echo "no route was explained" >&2; exit 1; }
echo "lab: all lines worked" >&2
