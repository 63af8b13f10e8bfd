# Shared by tests/fault/*.sh and bench/*.sh: sourced with the folder of programs. A hub, an edge and a load on loopback addresses, all
# gone at the end.
# Needs root: the edge dials its upstream on port 443.
set -euo pipefail
bin=$(cd "$1" && pwd)
hub=127.0.0.22 edge=127.0.0.23
hub_ready=http://$hub:9600/health/ready edge_ready=http://$edge:9600/health/ready
hub_pid= edge_pid= load_pid= other_pids=
processes() { echo $load_pid $other_pids $edge_pid $hub_pid; }
source "$(dirname "${BASH_SOURCE[0]}")/../support/processes.bash"
chmod 711 "$dir" # the edge hub is another user, and passes through

failed=0
expect() { # expect SENTENCE GOT WANTED
    [ "$2" = "$3" ] && return
    echo "$1: $2 instead of $3"
    failed=1
}
until_true() { # until_true COMMAND…: tries it 200 times, with a tenth of a second between
    for _ in $(seq 200); do
        "$@" && return
        sleep 0.1
    done
    return 1
}

make_hub() {
    "$bin/skerry-hub" init "$dir/hub" --hostname $hub --hub test --listen $hub --metrics $hub:9600 --json >"$dir/hub.json"
    export SKERRY_CONNECTION_STRING SKERRY_CA_FILE="$dir/hub/ca.pem"
    SKERRY_CONNECTION_STRING=$(sed 's/.*"iothubowner":"\(HostName[^"]*\)".*/\1/' "$dir/hub.json")
}

start_hub() {
    "$bin/skerry-hub" run --config "$dir/hub/hub.toml" 2>>"$dir/hub.log" &
    hub_pid=$!
}

# deployed NAME USER COMMAND…: a module for a deployment; USER "": one of its own.
deployed() {
    local user=${2:+, \"user\": \"$2\"} words
    words=$(printf '%s\n' "${@:3}" | sed 's/[\\"]/\\&/g; s/.*/"&",/' | tr -d '\n')
    printf '"%s": {"version": "1.0", "type": "process", "status": "running", "restartPolicy": "always", "settings": {"command": [%s]%s}}' \
        "$1" "${words%,}" "$user"
}

# deployment MODULE…: its manifest. $routes says what goes where, else all goes up; $twins what modules are told: '"name": {…}'.
deployment() {
    local IFS=, modules system='"type": "process", "settings": {"command": ["skerry-edge"]}'
    modules="$*" # with commas between them
    cat <<MANIFEST
{"modulesContent": {
  "\$edgeAgent": {"properties.desired": {"schemaVersion": "1.1", "runtime": {"type": "docker", "settings": {}}, "modules": {$modules},
    "systemModules": {"edgeAgent": {$system}, "edgeHub": {$system, "status": "running", "restartPolicy": "always"}}}},
  "\$edgeHub": {"properties.desired": {"schemaVersion": "1.1", "routes": {${routes:-"\"up\": \"FROM /messages/* INTO \$upstream\""}}}}${twins:+,
  $twins}}}
MANIFEST
}

make_edge() { # make_edge MODULE…: before its first start; the hub must run
    "$bin/skerry" device add edge --edge >/dev/null
    edge_config edge $edge "$dir/edge" "$dir/hub/ca.pem" >"$dir/edge.toml"
    deployment "$@" >"$dir/modules.json"
    "$bin/skerry" edge set-modules edge "$dir/modules.json" >/dev/null
}

start_edge() {
    "$bin/skerry-edge" run --config "$dir/edge.toml" 2>>"$dir/edge.log" &
    edge_pid=$!
}

# start_load CA DEVICE_ARGUMENT… -- CONNECTION_STRING_ARGUMENT…: four devices, made and put to work; they are called load_name-1 and so on.
start_load() {
    local ca=$1 add=()
    shift
    while [ "$1" != -- ]; do
        add+=("$1")
        shift
    done
    shift
    for i in 1 2 3 4; do
        "$bin/skerry" device add "${load_name:-load}-$i" "${add[@]}" >/dev/null
        "$bin/skerry" device connection-string "${load_name:-load}-$i" "$@" >>"$dir/devices"
    done
    touch "$dir/progress"
    "$bin/fault-load" --devices "$dir/devices" --ca "$ca" --service "$SKERRY_CONNECTION_STRING" --hub-ca "$dir/hub/ca.pem" \
        >"$dir/progress" 2>"$dir/load.log" &
    load_pid=$!
}

acknowledged() {
    tail -n 1 "$dir/progress" | sed -n 's/^acknowledged //p'
}

# under_load URL: waits until that server is ready and the load gets acknowledgements again, then for up to 600 ms more, by chance.
under_load() {
    local before
    wait_for "$1"
    before=$(acknowledged)
    for _ in $(seq 600); do
        if [ "$(acknowledged)" != "$before" ]; then
            sleep "0.$(printf %03d $((RANDOM % 600)))"
            return
        fi
        sleep 0.02
    done
    echo "no acknowledgement for 12 s"
    return 1
}

# kill_hard PID…: dead when it returns.
kill_hard() {
    kill -9 "$@"
    for pid in "$@"; do
        wait "$pid" 2>/dev/null || true
        while grep -q '^State:.[^ZX]' "/proc/$pid/status" 2>/dev/null; do sleep 0.01; done
    done
}

# Ends the load and lets it count; prints its result behind KILLS.
reckon() { # reckon KILLS
    kill -TERM "$load_pid"
    local code=0
    wait "$load_pid" || code=$?
    load_pid=
    echo "$1: $(tail -n 1 "$dir/progress")"
    return $code
}

mqtt_text() { # mqtt_text TEXT: as MQTT has it, the length in front
    printf '%04x' "${#1}"
    printf %s "$1" | od -An -v -tx1 | tr -d ' \n'
}

# connack HOST CA CLIENT USER TOKEN [OPTION…]: the code of the CONNACK; 0 is in. Without a token (""): options for openssl show a certificate.
connack() {
    local body length head
    body="00044d51545404$([ "$5" ] && echo c2 || echo 82)003c$(mqtt_text "$3")$(mqtt_text "$4")$([ -z "$5" ] || mqtt_text "$5")"
    length=$((${#body} / 2))
    head=10$(printf '%02x%02x' $((length % 128 + 128)) $((length / 128)))
    coproc client { openssl s_client -quiet -connect "$1:8883" -CAfile "$2" "${@:6}" 2>/dev/null; }
    local pid=$client_PID in
    exec {in}<&"${client[0]}" # a coprocess's own end is not for pipelines
    printf "$(printf %s "$head$body" | sed 's/../\\x&/g')" >&"${client[1]}"
    timeout 10 head -c 4 <&$in | od -An -tu1 | awk '{ print $4 }'
    exec {in}<&-
    kill "$pid" 2>/dev/null || true # it may have been hung up on
    wait "$pid" 2>/dev/null || true
}
