#!/usr/bin/env bash
# Leaf devices with certificates, by thumbprint and by CA, come back while the hub is away and the edge has been killed: what the edge remembers lets
# them in, over MQTT and HTTPS, and nobody else. What they send meanwhile reaches the hub when it is back.
source "$(dirname "$0")/support.bash"
certificate() { # certificate FILE NAME [ISSUER]: with its key; self-signed without an issuer
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$dir/$1.key" -out "$dir/$1.pem" -days 2 -subj "/CN=$2" \
        ${3:+-CA "$dir/$3.pem" -CAkey "$dir/$3.key"} -addext "basicConstraints=critical,CA:$([[ $1 = *-ca ]] && echo TRUE || echo FALSE)" 2>/dev/null
}
certificate company-ca company
certificate other-ca company
certificate by-ca by-ca company-ca
certificate other-by-ca by-ca other-ca
certificate by-thumbprint whatever
certificate other-by-thumbprint whatever
thumbprint=$(openssl x509 -in "$dir/by-thumbprint.pem" -noout -fingerprint -sha256 | sed 's/.*=//; s/://g')

enters() { # enters CERTIFICATE DEVICE: the CONNACK's code; 0 is in
    connack $edge "$edge_ca" "$2" "$hub/$2/?api-version=2021-04-12" "" -cert "$dir/$1.pem" -key "$dir/$1.key"
}
sends() { # sends CERTIFICATE DEVICE TEXT: the status
    curl -s -o /dev/null -w '%{http_code}' --cacert "$edge_ca" --cert "$dir/$1.pem" --key "$dir/$1.key" --data "$3" \
        -H "iothub-to: /devices/$2/messages/events" "https://$edge/devices/$2/messages/events?api-version=2020-03-13"
}
both_enter() { # both_enter WHEN
    for device in by-ca by-thumbprint; do
        expect "$device $1, by MQTT" "$(enters $device $device)" 0
        expect "$device $1, by HTTPS" "$(sends $device $device "sent-$1-by-$device")" 204
        expect "$device $1, with another certificate, by MQTT" "$(enters other-$device $device)" 5
        expect "$device $1, with another certificate, by HTTPS" "$(sends other-$device $device refused)" 401
    done
}

make_hub
start_hub
wait_for $hub_ready
"$bin/skerry" certificate add company "$dir/company-ca.pem" --verified >/dev/null
make_edge
sed -i "1i trust_bundle_cert = \"$dir/company-ca.pem\"" "$dir/edge.toml"
"$bin/skerry" device add by-ca --parent edge --auth ca >/dev/null
"$bin/skerry" device add by-thumbprint --parent edge --auth thumbprint --primary-thumbprint "$thumbprint" >/dev/null
start_edge
wait_for $edge_ready
edge_ca=$dir/edge/certificates/edge-ca.pem
both_enter online

kill_hard "$hub_pid"
kill_hard "$edge_pid" $(pgrep -P "$edge_pid")
start_edge
enters_again() { [ "$(enters by-ca by-ca)" = 0 ]; }
until_true enters_again || true
both_enter offline

hub_pid=
start_hub
wait_for $hub_ready
arrived() { timeout 3 "$bin/skerry" events watch --from earliest --output jsonl 2>/dev/null | grep -o 'sent-[a-z-]*\|refused' | sort -u | tr '\n' ' '; }
all="sent-offline-by-by-ca sent-offline-by-by-thumbprint sent-online-by-by-ca sent-online-by-by-thumbprint "
have_arrived() { [ "$(arrived)" = "$all" ]; }
until_true have_arrived || expect "what the hub has got" "$(arrived)" "$all"
exit $failed
