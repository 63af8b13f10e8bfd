#!/usr/bin/env bash
# Identities as a file: an import of DEVICES (100,000), each with a tag and a desired property, and an export of what is there then; and the
# memory that the hub takes meanwhile.
source "$(dirname "$0")/support.bash"
devices=${DEVICES:-100000}

make_hub
start_hub
wait_for "$hub_ready"
policy=iothubowner
policy_key=$(sed -n '/name = "iothubowner"/,/rights/s/^keys = \["\([^"]*\)".*/\1/p' "$dir/hub/hub.toml" | head -n 1)
hex_key=$(base64 -d <<<"$policy_key" | od -An -tx1 | tr -d ' \n')
sign() { openssl dgst -sha256 -mac HMAC -macopt "hexkey:$hex_key" -binary | base64 -w0 | sed 's/+/%2B/g; s#/#%2F#g; s/=/%3D/g'; }
until=$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ) expiry=$(($(date +%s) + 3600))
token="SharedAccessSignature sr=$hub&sig=$(printf '%s\n%s' "$hub" "$expiry" | sign)&se=$expiry&skn=$policy"
signed="sv=2021-08-06&sr=c&sp=rcwd&se=${until//:/%3A}&sig=$(printf 'rcwd\n\n%s\n/blob/%s/uploads\n\n\n\n2021-08-06\nc\n\n\n\n\n\n\n' "$until" "$policy" | sign)"
container="https://$hub/$policy/uploads?$signed"
call() { curl --silent --show-error --fail-with-body --cacert "$dir/hub/ca.pem" "$@"; }
rest() { call -H "Authorization: $token" -H 'Content-Type: application/json' "https://$hub/jobs$1?api-version=2021-04-12" "${@:2}"; }

# Starts a job, prints its seconds and the most memory that was seen.
job() { # job JSON
    local id status=running began=$EPOCHREALTIME most=0 now
    id=$(rest /create -d "$1" | field jobId | tr -d '" ')
    while [ "$status" = running ]; do
        sleep 0.05
        status=$(rest "/$id" | field status | tr -d '" ')
        now=$(pss_kb "$hub_pid")
        [ "$now" -le "$most" ] || most=$now
    done
    [ "$status" = completed ] || { echo "the job is $status" >&2; exit 1; }
    echo "$(calculate %.2f "$EPOCHREALTIME - $began") $most"
}

seq "$devices" | awk '{ printf "{\"id\":\"device-%d\",\"importMode\":\"create\",\"tags\":{\"site\":\"s%d\"},\"properties\":{\"desired\":{\"n\":%d}}}\n", $1, $1 % 100, $1 }' >"$dir/devices.txt"
call -X PUT -H 'x-ms-version: 2021-08-06' -H 'x-ms-blob-type: BlockBlob' -H 'Expect:' --data-binary "@$dir/devices.txt" \
    "https://$hub/$policy/uploads/devices.txt?$signed"
read -r import_s import_kb <<<"$(job "{\"type\":\"import\",\"inputBlobContainerUri\":\"$container\",\"outputBlobContainerUri\":\"$container\"}")"
read -r export_s export_kb <<<"$(job "{\"type\":\"export\",\"outputBlobContainerUri\":\"$container\"}")"
echo "transfers: $devices devices with twins"
printf '  %-8s %8s s  %6s KB PSS at most\n' import "$import_s" "$import_kb" export "$export_s" "$export_kb"
write_result transfers "\"devices\": $devices,
  \"import\": {\"seconds\": $import_s, \"pss_kb\": $import_kb},
  \"export\": {\"seconds\": $export_s, \"pss_kb\": $export_kb}"
