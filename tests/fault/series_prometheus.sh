#!/usr/bin/env bash
# Prometheus reads a hub's time series from it, and answers queries about them.
source "$(dirname "$0")/support.bash"
prometheus=127.0.0.24:9090
make_hub
start_hub
wait_for "$hub_ready"
for device in truck1 truck2 pump; do "$bin/skerry" device add $device >/dev/null; done
for speed in 20 22.5 30; do
    for device in truck1 truck2; do "$bin/skerry" telemetry send $device "{\"speed\": $speed, \"state\": {\"on\": true}, \"note\": \"n\"}" >/dev/null; done
done
"$bin/skerry" telemetry send pump '{"pressure": 5}' >/dev/null
# A token of the hub, for an hour, as SDKs make it.
token() {
    python3 - "$SKERRY_CONNECTION_STRING" <<'PYTHON'
import base64, hashlib, hmac, sys, time, urllib.parse
parts = dict(part.split('=', 1) for part in sys.argv[1].split(';'))
expiry = str(int(time.time()) + 3600)
resource = urllib.parse.quote(parts['HostName'], safe='')
mac = hmac.new(base64.b64decode(parts['SharedAccessKey']), (resource + '\n' + expiry).encode(), hashlib.sha256).digest()
print('sr=%s&sig=%s&se=%s&skn=%s' % (resource, urllib.parse.quote(base64.b64encode(mac), safe=''), expiry, parts['SharedAccessKeyName']))
PYTHON
}
cat >"$dir/prometheus.yml" <<CONFIG
remote_read:
  - url: https://$hub/api/v1/read?api-version=2021-04-12
    read_recent: true
    authorization: {type: SharedAccessSignature, credentials: "$(token)"}
    tls_config: {ca_file: $dir/hub/ca.pem}
CONFIG
prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/prometheus" --web.listen-address=$prometheus >"$dir/prometheus.log" 2>&1 &
other_pids=$!
wait_for http://$prometheus/-/ready
ask() { curl -s http://$prometheus/api/v1/query --data-urlencode "query=$1"; }
values() { ask "$1" | jq -r '[.data.result[]? | "\(.metric.device // "") \(.value[1])"] | sort | join(", ")'; }
has_all() { [ "$(values 'count_over_time(speed[10m])')" = "truck1 3, truck2 3" ]; }
until_true has_all || expect "samples" "$(ask 'count_over_time(speed[10m])')" "3 of both trucks"
expect "maximum" "$(values 'max_over_time(speed[10m])')" "truck1 30, truck2 30"
expect "one device" "$(values 'min_over_time(speed{device="truck2"}[10m])')" "truck2 20"
expect "devices by a regular expression" "$(values 'last_over_time(speed{device=~"t.*1"}[10m])')" "truck1 30"
expect "devices but one" "$(values 'last_over_time(speed{device!="truck1"}[10m])')" "truck2 30"
expect "a Bool of a nested object" "$(values 'last_over_time(state_on{device="truck1"}[10m])')" "truck1 1"
expect "metrics by a regular expression" "$(values 'last_over_time({__name__=~"pres.*"}[10m])')" "pump 5"
expect "no such metric" "$(values 'last_over_time(nothing[10m])')" ""
expect "a text" "$(values 'last_over_time(note[10m])')" ""
range=$(curl -s "http://$prometheus/api/v1/query_range" --data-urlencode 'query=speed{device="truck1"}' --data "start=$(($(date +%s) - 300))&end=$(date +%s)&step=10")
expect "a range" "$(jq -r '.data.result | length' <<<"$range")" 1
# What is no request of Prometheus is refused.
refused() { curl -s -o /dev/null -w '%{http_code}' --cacert "$dir/hub/ca.pem" -H "Authorization: SharedAccessSignature $(token)" --data-binary "$1" "https://$hub/api/v1/read?api-version=2021-04-12"; }
expect "no snappy" "$(refused nonsense)" 400
expect "an empty body" "$(refused '')" 400
expect "the hub" "$(curl -sf -o /dev/null -w '%{http_code}' "$hub_ready")" 200
exit $failed
