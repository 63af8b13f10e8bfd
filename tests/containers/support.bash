# Shared by tests/containers/*.sh: sourced with the folder of programs. A container engine (Podman), a registry that wants credentials, a
# hub and an edge, in a network of their own, so that nothing else on the machine is met or touched; all gone at the end. Needs root.
if [ -z "${CONTAINERS_APART:-}" ]; then
    CONTAINERS_APART=1 exec unshare --net --mount -- "$0" "$@"
fi
set -euo pipefail
bin=$(cd "$1" && pwd)
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
hub_pid= edge_pid= engine_pid= registry_pid= other_pids=
processes() { echo $other_pids $edge_pid $hub_pid $registry_pid $engine_pid; }
for folder in /run /dev/shm; do mount -t tmpfs own $folder; done # the engine has its servers of names there, and its locks
export TMPDIR=/run                                               # in memory: an engine waits for the disk at each step
source "$(dirname "${BASH_SOURCE[0]}")/../support/processes.bash"
chmod 711 "$dir"
ip link set lo up

# ---- the engine ----

export CONTAINERS_CONF=$dir/containers.conf CONTAINERS_REGISTRIES_CONF=$dir/registries.conf
registry=127.0.0.1:5000 network=skerry-test
cat >"$CONTAINERS_CONF" <<CONF
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
CONF
cat >"$CONTAINERS_REGISTRIES_CONF" <<CONF
[[registry]]
location = "$registry"
insecure = true
CONF
pod() { podman --root "$dir/engine" --runroot "$dir/engine-run" --network-config-dir "$dir/engine-networks" "$@" 2>>"$dir/podman.log"; }

start_engine() {
    podman --root "$dir/engine" --runroot "$dir/engine-run" --network-config-dir "$dir/engine-networks" system service --time=0 \
        "unix://$dir/engine.sock" >>"$dir/podman.log" 2>&1 &
    engine_pid=$!
    for _ in $(seq 100); do
        curl -sf --unix-socket "$dir/engine.sock" http://engine/_ping >/dev/null && return
        sleep 0.05
    done
    echo "the engine does not start"
    return 1
}

stop_engine() { # as a crash: containers live on
    kill -9 "$engine_pid"
    wait "$engine_pid" 2>/dev/null || true
    engine_pid=
    rm -f "$dir/engine.sock"
}

# Containers that are left end with the test, whatever became of it.
remove_containers() {
    pod rm --all --force --time 0 >/dev/null || true
    pod network prune --force >/dev/null || true
    umount -R "$dir"/engine/overlay "$dir"/engine-run "$dir"/engine 2>/dev/null || true
}
finish_all() {
    local code=$?
    trap - EXIT
    for pid in $other_pids $edge_pid; do kill "$pid" 2>/dev/null || true; done
    for pid in $other_pids $edge_pid; do wait "$pid" 2>/dev/null || true; done
    [ -z "$engine_pid" ] || kill -CONT "$engine_pid" 2>/dev/null || true
    remove_containers
    if grep -qE 'AddressSanitizer|runtime error|ended by signal 11|assertion' "$dir/edge.log" 2>/dev/null; then
        echo "a role of the edge has crashed"
        code=1
    fi
    if [ $code = 0 ]; then finish; else (exit $code) || finish; fi
}
trap finish_all EXIT

# ---- images ----

start_registry() {
    [ -e "$dir/htpasswd" ] || htpasswd -Bbn puller secret >"$dir/htpasswd"
    cat >"$dir/registry.yml" <<CONF
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $dir/registry}}
http: {addr: $registry}
auth: {htpasswd: {realm: test, path: $dir/htpasswd}}
CONF
    docker-registry serve "$dir/registry.yml" >>"$dir/registry.log" 2>&1 &
    registry_pid=$!
    for _ in $(seq 100); do
        [ "$(curl -s -o /dev/null -w '%{http_code}' "http://$registry/v2/")" = 401 ] && return
        sleep 0.05
    done
    echo "the registry does not start"
    return 1
}

# put ROOTFS FILE…: files of this machine, under their paths, with the libraries that programs among them need.
put() {
    local rootfs=$1 file library
    shift
    for file in "$@"; do
        mkdir -p "$rootfs$(dirname "$file")"
        cp -aL --no-preserve=ownership "$file" "$rootfs$file"
        for library in $(ldd "$file" 2>/dev/null | grep -o '/[^ ]*' || true); do
            mkdir -p "$rootfs$(dirname "$library")"
            [ -e "$rootfs$library" ] || cp -L "$library" "$rootfs$library"
        done
    done
}

# image ROOTFS NAME CHANGE…: makes it, on this engine alone.
image() {
    local rootfs=$1 name=$2 change=()
    shift 2
    for line in "$@"; do change+=(--change "$line"); done
    mkdir -p "$rootfs/tmp" "$rootfs/run" "$rootfs/var" "$rootfs/etc"
    [ -e "$rootfs/var/run" ] || ln -s /run "$rootfs/var/run"
    tar -C "$rootfs" -cf - . | pod import --quiet "${change[@]}" - "$name" >/dev/null
}

push() { # push NAME: into the registry, away from the engine
    pod push --quiet --tls-verify=false --creds puller:secret "$1"
    pod rmi --force "$1" >/dev/null
}

box() { # box NAME SHELL_COMMAND [CHANGE…]: an image with busybox that runs the command
    local name=$1 command=$2
    shift 2
    if [ ! -d "$dir/box" ]; then
        mkdir -p "$dir/box/bin"
        cp "$(command -v busybox)" "$dir/box/bin/busybox"
        for applet in sh sleep cat ls env id wget httpd echo mkdir touch rm ps kill nslookup; do ln -s busybox "$dir/box/bin/$applet"; done
    fi
    # The first process of a container ignores SIGTERM, unless it says otherwise: nobody wants to wait for that.
    image "$dir/box" "$name" "CMD [\"/bin/sh\",\"-c\",$(jq -Rn --arg c "$command" '$c')]" "STOPSIGNAL SIGKILL" "$@"
}

# ---- hub and edge ----

hub=127.0.0.22 hub_port=18883
hub_ready=http://$hub:9600/health/ready edge_ready=http://127.0.0.1:9601/health/ready

start_hub() {
    if [ ! -d "$dir/hub" ]; then
        "$bin/skerry-hub" init "$dir/hub" --hostname $hub --hub test --listen $hub:443 --listen $hub:$hub_port --metrics $hub:9600 --json >"$dir/hub.json"
        export SKERRY_CONNECTION_STRING SKERRY_CA_FILE="$dir/hub/ca.pem"
        SKERRY_CONNECTION_STRING=$(sed "s/.*\"iothubowner\":\"\(HostName[^\"]*\)\".*/\1/" "$dir/hub.json")
    fi
    "$bin/skerry-hub" run --config "$dir/hub/hub.toml" 2>>"$dir/hub.log" &
    hub_pid=$!
    wait_for $hub_ready
}

# The edge listens at every address; containers reach it by its name.
make_edge() {
    "$bin/skerry" device add edge --edge >/dev/null
    cat >"$dir/edge.toml" <<CONFIG
hostname = "gateway.test"
[provisioning]
source = "manual"
connection_string = "$("$bin/skerry" device connection-string edge)"
[moby_runtime]
uri = "unix://$dir/engine.sock"
network = "$network"
[skerry]
data = "$dir/edge"
hub_trust = "$dir/hub/ca.pem"
hub_mqtt_port = $hub_port
listen = ["0.0.0.0:8883"]
metrics = "127.0.0.1:9601"
agent_metrics = "127.0.0.1:9602"
page = ""
CONFIG
}

start_edge() {
    "$bin/skerry-edge" run --config "$dir/edge.toml" 2>>"$dir/edge.log" &
    edge_pid=$!
    wait_for $edge_ready
}

stop_edge() {
    kill "$edge_pid"
    wait "$edge_pid" || true
    edge_pid=
}

edge_says() { "$bin/skerry-edge" "$@" --config "$dir/edge.toml"; }

# module NAME IMAGE [SETTINGS [MEMBERS]]: of a deployment; both are parts of JSON objects.
module() {
    printf '"%s": {"type": "docker", "status": "running", "restartPolicy": "always", "settings": {"image": "%s"%s}%s}' \
        "$1" "$2" "${3:+, $3}" "${4:+, $4}"
}
local_only='"imagePullPolicy": "never"'

# deploy MODULE…: puts them into force, on $device. $credentials: of the registry; $routes, $twins: as in tests/fault/support.bash.
credentials="\"r\": {\"address\": \"$registry\", \"username\": \"puller\", \"password\": \"secret\"}"
deploy() {
    local IFS=, modules system='"type": "docker", "settings": {"image": "mcr.example/runtime:1.5"}'
    modules="$*"
    cat >"$dir/modules.json" <<MANIFEST
{"modulesContent": {
  "\$edgeAgent": {"properties.desired": {"schemaVersion": "1.1",
    "runtime": {"type": "docker", "settings": {"minDockerVersion": "v1.25", "registryCredentials": {$credentials}}},
    "modules": {$modules},
    "systemModules": {"edgeAgent": {$system}, "edgeHub": {$system, "status": "running", "restartPolicy": "always"}}}},
  "\$edgeHub": {"properties.desired": {"schemaVersion": "1.1", "routes": {${routes:-"\"up\": \"FROM /messages/* INTO \$upstream\""}}}}${twins:+,
  $twins}}}
MANIFEST
    "$bin/skerry" edge set-modules "${device:-edge}" "$dir/modules.json" >/dev/null
}

# ---- what is seen ----

failed=0
expect() { # expect SENTENCE GOT WANTED
    [ "$2" = "$3" ] && return
    echo "$1: $2 instead of $3"
    failed=1
}
agent_reports() { "$bin/skerry" twin show 'edge/$edgeAgent' --output json | jq -r ".properties.reported$1"; }
stands() { edge_says status --json 2>/dev/null | jq -r ".modules[\"$1\"].${2:-runtimeStatus}"; }
# until SENTENCE WANTED COMMAND…: asks for at most 40 s.
until_is() {
    local sentence=$1 wanted=$2 got=
    shift 2
    for _ in $(seq 400); do
        got=$("$@" 2>/dev/null || true)
        [ "$got" = "$wanted" ] && return
        sleep 0.1
    done
    echo "$sentence: $got instead of $wanted"
    failed=1
    return 1
}
until_like() { # until_like SENTENCE PATTERN COMMAND…: as grep -E has it
    local sentence=$1 pattern=$2 got=
    shift 2
    for _ in $(seq 400); do
        got=$("$@" 2>/dev/null || true)
        grep -qE "$pattern" <<<"$got" && return
        sleep 0.1
    done
    echo "$sentence: $got is not like $pattern"
    failed=1
    return 1
}
container_id() { pod inspect --format '{{.Id}}' "$1"; }

# Without containers nothing can be told here: the kernel refuses them, not we.
start_engine
box localhost/probe:1 'exit 0'
if ! pod run --rm localhost/probe:1 >/dev/null; then
    echo "skipped: this machine runs no containers: $(tail -n 1 "$dir/podman.log")"
    exit 77
fi
start_registry
start_hub
make_edge
