#!/usr/bin/env bash
# A device's certificate and the edge's CA come from an EST server, by a bootstrap certificate and by a password, and are renewed under load: every few
# seconds, with new keys, and no device notices. The server is away at first, which is said.
source "$(dirname "$0")/support.bash"
est=127.0.0.24
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1" 2>/dev/null; }
mkdir "$dir/est"
key "$dir/est/ca.key"
openssl req -x509 -key "$dir/est/ca.key" -out "$dir/est/ca.pem" -days 2 -subj "/CN=company" -addext basicConstraints=critical,CA:TRUE \
    -addext keyUsage=critical,keyCertSign 2>/dev/null
for name in server boot; do
    key "$dir/est/$name.key"
    openssl req -new -key "$dir/est/$name.key" -subj "/CN=$name" 2>/dev/null | openssl x509 -req -CA "$dir/est/ca.pem" -CAkey "$dir/est/ca.key" \
        -CAcreateserial -days 2 -extfile <(echo "subjectAltName=IP:$est") -out "$dir/est/$name.pem" 2>/dev/null
done
chmod 600 "$dir"/est/*.key

make_hub
start_hub
wait_for $hub_ready
"$bin/skerry" certificate add company "$dir/est/ca.pem" --verified >/dev/null
"$bin/skerry" device add edge --edge --auth ca >/dev/null
deployment "$(deployed sender "" "$bin/skerry-sim")" >"$dir/modules.json"
"$bin/skerry" edge set-modules edge "$dir/modules.json" >/dev/null
cat >"$dir/edge.toml" <<CONFIG
hostname = "$edge"
[provisioning]
source = "manual"
iothub_hostname = "$hub"
device_id = "edge"
[provisioning.authentication]
method = "x509"
[provisioning.authentication.identity_cert]
method = "est"
auto_renew = { threshold = "86392s" }       # of a day: after eight seconds
[edge_ca]
method = "est"
common_name = "edge CA"
username = "edge"
password = "secret"
auto_renew = { threshold = "86392s" }
[cert_issuance.est]
trusted_certs = ["file://$dir/est/ca.pem"]
auth = { bootstrap_identity_cert = "file://$dir/est/boot.pem", bootstrap_identity_pk = "file://$dir/est/boot.key" }
urls = { default = "https://$est:8443/.well-known/est" }
[skerry]
data = "$dir/edge"
hub_trust = "$dir/hub/ca.pem"
listen = ["$edge"]
metrics = "$edge:9600"
CONFIG
start_edge
until_true grep -q "no new certificate for edge-ca: Cannot ask the EST server $est:8443" "$dir/edge.log" || true
expect "that the server is away is said" "$(grep -c "Cannot ask the EST server $est:8443" "$dir/edge.log" | sed 's/^[1-9].*/yes/')" yes
python3 "$(dirname "$0")/../support/est_server.py" 8443 "$dir/est" 2>"$dir/est.log" &
other_pids=$!
wait_for $edge_ready || failed=1
reports() { "$bin/skerry" twin show edge/sender 2>/dev/null | grep -q SendInterval; }
until_true reports || true
expect "what the module reports" "$(reports && echo yes || echo no)" yes

start_load "$dir/est/ca.pem" --parent edge -- --gateway $edge
under_load $edge_ready
renewals() { grep -c "there is a new certificate for $1" "$dir/edge.log"; }
have_renewed() { [ "$(renewals edge-ca)" -ge 3 ] && [ "$(renewals device-id)" -ge 3 ]; }
until_true have_renewed || true
expect "both are renewed" "$(have_renewed && echo yes || echo no)" yes
expect "by simplereenroll" "$(grep -c 'simplereenroll 200' "$dir/est/requests" | sed 's/^[1-9].*/yes/')" yes
expect "the CA by its password" "$(grep -c 'simpleenroll 200 no certificate' "$dir/est/requests")" 1
expect "the device by the bootstrap certificate" "$(grep -c 'simpleenroll 200 certificate' "$dir/est/requests")" 1
under_load $edge_ready
expect "lost connections" "$(grep -c 'lost\|closed' "$dir/load.log")" 0
# The daemon starts again with what it has, and the hub believes the renewed certificate.
kill_hard "$(pgrep -P "$edge_pid" skerry-daemon)"
ready_again() { [ "$(grep -c 'daemon: ready' "$dir/edge.log")" -ge 2 ]; }
until_true ready_again || true
expect "the hub refuses nothing" "$(grep -c 'The hub refused' "$dir/edge.log")" 0
reckon "an edge with certificates by EST" || failed=1
exit $failed
