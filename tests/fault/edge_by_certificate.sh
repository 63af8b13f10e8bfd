#!/usr/bin/env bash
# An edge device that proves itself by an X.509 certificate, known to the hub by its thumbprint or by a CA, comes up as root's confined daemon: the
# hub learns its modules, a module connects with its key, and a wrong certificate is told with its mend.
source "$(dirname "$0")/support.bash"
certificate() { # certificate NAME ISSUER: NAME.pem and NAME.key, root's alone; without an issuer self-signed
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$dir/$1.key" -out "$dir/$1.csr" -subj "/CN=$1" 2>/dev/null
    if [ -n "${2:-}" ]; then
        openssl x509 -req -in "$dir/$1.csr" -CA "$dir/$2.pem" -CAkey "$dir/$2.key" -CAcreateserial -days 2 -out "$dir/$1.pem" 2>/dev/null
    else
        openssl x509 -req -in "$dir/$1.csr" -signkey "$dir/$1.key" -days 2 -out "$dir/$1.pem" 2>/dev/null
    fi
    chmod 600 "$dir/$1.key"
}
by_certificate() { # by_certificate DEVICE: the edge's configuration, with its certificate
    cat >"$dir/edge.toml" <<CONFIG
hostname = "$edge"
[provisioning]
source = "manual"
iothub_hostname = "$hub"
device_id = "$1"
[provisioning.authentication]
method = "x509"
identity_cert = "file://$dir/$1.pem"
identity_pk = "file://$dir/$1.key"
[skerry]
data = "$dir/$1-data"
hub_trust = "$dir/hub/ca.pem"
listen = ["$edge"]
metrics = "$edge:9600"
CONFIG
}
reports() { "$bin/skerry" twin show "$1/sender" 2>/dev/null | grep -q SendInterval && echo yes || echo no; }
module_reports() { [ "$(reports "$1")" = yes ]; }
comes_up() { # comes_up DEVICE
    deployment "$(deployed sender "" "$bin/skerry-sim")" >"$dir/modules.json"
    "$bin/skerry" edge set-modules "$1" "$dir/modules.json" >/dev/null
    by_certificate "$1"
    start_edge
    wait_for $edge_ready || failed=1
    until_true module_reports "$1" || true
    expect "what the module of $1 reports" "$(reports "$1")" yes
    kill "$edge_pid"
    wait "$edge_pid" || true
    edge_pid=
}

make_hub
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$dir/factory.key" -out "$dir/factory.pem" -days 2 -subj /CN=factory \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign 2>/dev/null
start_hub
wait_for $hub_ready
certificate by-print
digest=$(openssl x509 -in "$dir/by-print.pem" -noout -fingerprint -sha256 | cut -d= -f2 | tr -d :)
"$bin/skerry" device add by-print --edge --auth thumbprint --primary-thumbprint "$digest" >/dev/null
comes_up by-print

"$bin/skerry" certificate add factory "$dir/factory.pem" --verified >/dev/null
certificate by-ca factory
"$bin/skerry" device add by-ca --edge --auth ca >/dev/null
comes_up by-ca

# Another certificate than the registered one: said, and tried again until the right one is known.
certificate by-print
by_certificate by-print
rm -rf "$dir/by-print-data"
start_edge
until_true grep -q 'The hub refused module $edgeAgent: HTTP 401' "$dir/edge.log" || true
expect "the refusal is said" "$(grep -c 'The hub refused module $edgeAgent: HTTP 401' "$dir/edge.log" | sed 's/^[1-9].*/yes/')" yes
exit $failed
