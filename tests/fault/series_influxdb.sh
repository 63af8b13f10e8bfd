#!/usr/bin/env bash
# The same points in time series and in InfluxDB: both come to the same numbers, minute by minute.
source "$(dirname "$0")/support.bash"
influx=127.0.0.24:8086
make_hub
sed -i 's/^\[hub.series\]/&\ntimestamp = "ts"/' "$dir/hub/hub.toml"
start_hub
cat >"$dir/influxdb.conf" <<CONFIG
reporting-disabled = true
bind-address = "127.0.0.24:8088"
[meta]
  dir = "$dir/influx/meta"
[data]
  dir = "$dir/influx/data"
  wal-dir = "$dir/influx/wal"
  query-log-enabled = false
[http]
  bind-address = "$influx"
  log-enabled = false
CONFIG
influxd run -config "$dir/influxdb.conf" >"$dir/influx.log" 2>&1 &
other_pids=$!
wait_for "$hub_ready"
wait_for "http://$influx/ping"
curl -sf "http://$influx/query" --data-urlencode 'q=CREATE DATABASE points' >/dev/null

# Three hours of readings of a pump, some minutes without any, as both write them. Numbers are quarters, which are exact in sums.
awk -v messages="$dir/messages" -v lines="$dir/lines" 'BEGIN {
    srand(7)
    ms = 1767225600000
    while (ms < 1767225600000 + 3 * 3600000) {
        ms += 1 + int(rand() * (rand() < 0.01 ? 400000 : 3000))
        value = int(rand() * 4000) / 4 - 300
        day = 1767225600000
        s = int((ms - day) / 1000)
        time = sprintf("2026-01-01T%02d:%02d:%02d.%03dZ", int(s / 3600), int(s / 60) % 60, s % 60, ms % 1000)
        n++
        printf "%s{\"ts\":\"%s\",\"v\":%.2f}", (n % 2000 == 1 ? (n > 1 ? "]\n[" : "[") : ","), time, value >messages
        printf "m v=%.2f %.0f000000\n", value, ms >lines
    }
    print "]" >messages
}'
"$bin/skerry" device add pump >/dev/null
while read -r body; do "$bin/skerry" telemetry send pump "$body" >/dev/null; done <"$dir/messages"
curl -sf "http://$influx/write?db=points" --data-binary "@$dir/lines" || expect "InfluxDB's write" failed fine
count=$(wc -l <"$dir/lines")
events() { "$bin/skerry" series list --output json | jq '[.[] | select(.series == "pump") | .events] | add // 0'; }
all_there() { [ "$(events)" = "$count" ]; }
until_true all_there || expect "events" "$(events)" "$count"

from=2026-01-01T00:30:00Z to=2026-01-01T02:30:00Z
ours() { # ours AGGREGATE: a value a minute, null for those without points
    "$bin/skerry" series show pump --from $from --to $to --property v --interval PT1M --aggregate "$1" --output json | jq -r '.[] | .v // "null"'
}
theirs() { # theirs FUNCTION
    curl -sf "http://$influx/query?db=points&epoch=ms" --data-urlencode \
        "q=SELECT $1 FROM m WHERE time >= '$from' AND time < '$to' GROUP BY time(1m) fill(null)" |
        jq -r '.results[0].series[0].values[][1] | . // "null"'
}
# A difference in the last digits is none: sums of different order.
same() { paste - - <<<"$(paste -d '\n' "$1" "$2")" | awk '$1 != $2 && ($1 == "null" || $2 == "null" || ($1 - $2) ^ 2 > 1e-12 * $1 ^ 2) { n++ } END { print n + 0 }'; }
for pair in 'avg mean(v)' 'min min(v)' 'max max(v)' 'sum sum(v)' 'first first(v)' 'last last(v)' 'stdev stddev(v)'; do
    ours "${pair% *}" >"$dir/ours"
    theirs "${pair#* }" >"$dir/theirs"
    expect "$pair: minutes" "$(wc -l <"$dir/ours") $(wc -l <"$dir/theirs")" "120 120"
    [ "$(grep -c null "$dir/ours")" -gt 3 ] || expect "$pair: minutes without points" none some
    expect "$pair: minutes that differ" "$(same "$dir/ours" "$dir/theirs")" 0
done
exit $failed
