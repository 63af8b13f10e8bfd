#!/usr/bin/env bash
# A leaf device behind an edge tries to become its edge hub: it makes the module $edgeHub on itself and speaks as that. It is refused
# everywhere, and its sibling is served meanwhile.
source "$(dirname "$0")/support.bash"

encoded() { # encoded TEXT: for URLs and tokens
    local text=$1 i c
    for ((i = 0; i < ${#text}; i++)); do
        c=${text:i:1}
        case $c in [a-zA-Z0-9._~-]) printf %s "$c" ;; *) printf '%%%02X' "'$c" ;; esac
    done
}

token() { # token RESOURCE KEY
    local sr se=$(($(date +%s) + 3600)) key signature
    sr=$(encoded "$1")
    key=$(printf %s "$2" | base64 -d | od -An -v -tx1 | tr -d ' \n')
    signature=$(printf '%s\n%s' "$sr" "$se" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)
    printf 'SharedAccessSignature sr=%s&sig=%s&se=%s' "$sr" "$(encoded "$signature")" "$se"
}

key_of() { # key_of DEVICE
    "$bin/skerry" device connection-string "$1" | sed 's/.*SharedAccessKey=//'
}

call() { # call TOKEN METHOD PATH [BODY]: the status; the answer is in $dir/answer
    curl -s -o "$dir/answer" -w '%{http_code}' --cacert "$dir/hub/ca.pem" -X "$2" -H "Authorization: $1" -H 'Content-Type: application/json' \
        ${4:+--data "$4"} "https://$hub$3?api-version=2020-06-30-preview"
}


make_hub
start_hub
wait_for $hub_ready
make_edge
start_edge
wait_for $edge_ready
edge_ca=$dir/edge/certificates/edge-ca.pem
for device in leaf sibling; do "$bin/skerry" device add $device --parent edge >/dev/null; done
own=$(token "$hub/devices/leaf" "$(key_of leaf)")
siblings=$(token "$hub/devices/sibling" "$(key_of sibling)")
sibling_is_served() {
    expect "the sibling at the hub $1" "$(connack $hub "$dir/hub/ca.pem" sibling "$hub/sibling/?api-version=2021-04-12" "$siblings")" 0
    expect "the sibling at the edge $1" "$(connack $edge "$edge_ca" sibling "$hub/sibling/?api-version=2021-04-12" "$siblings")" 0
}
sibling_is_served before

key=$(openssl rand -base64 32)
body="{\"deviceId\":\"leaf\",\"moduleId\":\"\$edgeHub\",\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":\"$key\",\"secondaryKey\":\"$key\"}}}"
expect "making the module \$edgeHub" "$(call "$own" PUT '/devices/leaf/modules/%24edgeHub' "$body")" 401

# A leaf that was an edge device once has kept that module, and knows its key.
owner=$(token "$hub" "$(sed 's/.*SharedAccessKey=//' <<<"$SKERRY_CONNECTION_STRING")")"&skn=iothubowner"
call "$owner" GET /devices/leaf >/dev/null
leaf=$(cat "$dir/answer")
edited() { # edited TRUE|FALSE: the leaf with or without iotEdge
    sed 's/"capabilities":{[^}]*}/"capabilities":{"iotEdge":'"$1"'}/' <<<"$leaf"
}
put() { # put PATH BODY: as the owner
    curl -s -o "$dir/answer" -w '%{http_code}' --cacert "$dir/hub/ca.pem" -X PUT -H "Authorization: $owner" -H 'If-Match: "*"' \
        -H 'Content-Type: application/json' --data "$2" "https://$hub$1?api-version=2021-04-12"
}
expect "making the leaf an edge device" "$(put /devices/leaf "$(edited true)")" 200
expect "giving its module a key" "$(put '/devices/leaf/modules/%24edgeHub' "$body")" 200
expect "making it a leaf again" "$(put /devices/leaf "$(edited false)")" 200

false_hub=$(token "$hub/devices/leaf/modules/\$edgeHub" "$key")
for who in sibling edge 'edge/$edgeHub'; do
    user="$hub/$who/?api-version=2021-04-12&auth-chain=$(encoded "$who;leaf")"
    expect "speaking as $who at the hub" "$(connack $hub "$dir/hub/ca.pem" "$who" "$user" "$false_hub")" 5
    expect "speaking as $who at the edge" "$(connack $edge "$edge_ca" "$who" "$user" "$false_hub")" 5
done
for of in leaf edge; do
    expect "listing the scope of $of" "$(call "$false_hub" POST "/devices/$of/modules/%24edgeHub/devicesAndModulesInTargetDeviceScope" '{}')" 401
    expect "the keys of edge's \$edgeHub, as $of" "$(call "$false_hub" POST "/devices/$of/modules/%24edgeHub/getDeviceAndModuleOnBehalfOf" \
        '{"targetDeviceId":"edge","targetModuleId":"$edgeHub"}')" 401
done
sibling_is_served after
expect "the hub" "$(curl -s -o /dev/null -w '%{http_code}' $hub_ready)" 200
expect "the edge" "$(curl -s -o /dev/null -w '%{http_code}' $edge_ready)" 200
[ $failed = 0 ] && echo "a leaf that wants to be its edge hub is refused"
exit $failed
