#!/usr/bin/env bash
# Edges below one another get images through their parent, by its name in `$upstream`: one hop and two, with the registry's own credentials; and a
# parent that passes none on says so.
source "$(dirname "$0")/support.bash"
edge=127.0.0.31 middle=127.0.0.32
box $registry/hello:1 'echo here; exec sleep 1000'
push $registry/hello:1
sed -i "s/^hostname = .*/hostname = \"$edge\"/; s/^listen = .*/listen = [\"$edge\"]/" "$dir/edge.toml"
start_edge

# below NAME PARENT PARENT_HOST HOST [LINE]: an edge below another, whose CA it trusts.
below() {
    "$bin/skerry" device add "$1" --edge --parent "$2" >/dev/null
    cat >"$dir/$1.toml" <<CONFIG
hostname = "$4"
parent_hostname = "$3"
[provisioning]
source = "manual"
connection_string = "$("$bin/skerry" device connection-string "$1")"
[moby_runtime]
uri = "unix://$dir/engine.sock"
network = "$network"
[skerry]
data = "$dir/$1"
hub_trust = "$dir/$2/certificates/edge-ca.pem"
listen = ["$4"]
metrics = "$4:9601"
page = ""
${5:-}
CONFIG
    "$bin/skerry-edge" run --config "$dir/$1.toml" 2>>"$dir/$1.log" &
    other_pids+=" $!"
    wait_for "http://$4:9601/health/ready"
}
below middle edge $edge $middle "image_registry = \"https://$edge\""
below lowest middle $middle 127.0.0.33
stop_engine
cat "$dir"/{edge,middle}/certificates/edge-ca.pem >"$dir/parents.pem"
export SSL_CERT_FILE=$dir/parents.pem
start_engine

credentials='"r": {"address": "$upstream:443", "username": "puller", "password": "secret"}'
of() { "$bin/skerry-edge" status --json --config "$dir/$1.toml" 2>/dev/null | jq -r ".modules[\"$2\"].$3"; }
device=middle deploy "$(module one '$upstream:443/hello:1')"
until_like "the parent passes no images on, and says why" 'passes no images on.*image_registry' of middle one statusDescription

kill "$edge_pid"
wait "$edge_pid" || true
sed -i "/^data = /a image_registry = \"http://$registry\"" "$dir/edge.toml"
start_edge
until_is "the parent's child runs an image of its registry" running of middle one runtimeStatus
expect "by the parent's name" "$(pod inspect --format '{{.ImageName}}' one)" $edge:443/hello:1

device=lowest deploy "$(module two '$upstream:443/hello:1')"
until_is "and the child's child, two hops away" running of lowest two runtimeStatus
expect "by its own parent's name" "$(pod inspect --format '{{.ImageName}}' two)" $middle:443/hello:1
expect "its output" "$("$bin/skerry-edge" logs two --config "$dir/lowest.toml")" here

credentials='"r": {"address": "$upstream:443", "username": "puller", "password": "wrong"}'
device=lowest deploy "$(module two '$upstream:443/hello:1')" "$(module three '$upstream:443/hello:2')"
until_like "the registry's refusal comes down" 'unauthorized|authentication required' of lowest three statusDescription
exit $failed
