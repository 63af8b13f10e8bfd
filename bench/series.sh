#!/usr/bin/env bash
# Time series: the same points into our store, InfluxDB and VictoriaMetrics, and what a point takes on disk; one value a minute of a device
# with very many points; what the hub's ingest loses with the store on. Points are written as people write them: bodies of messages for us,
# the line protocol for the others, several clients at once. Rates on shared cores say little: the processor time for the same points is
# what is compared.
source "$(dirname "$0")/support.bash"
peers=127.0.0.24
export DEVICES=${DEVICES:-1000} FIELDS=${FIELDS:-5} ROWS=${ROWS:-1200}
points=$((DEVICES * FIELDS * ROWS))
[ -x /usr/bin/influxd ] && [ -x /usr/bin/victoria-metrics ] || apt-get install -y -qq influxdb victoria-metrics >/dev/null
echo "series: $points points of $DEVICES devices with $FIELDS values each, one decimal"

"$bin/bench-series_store" lines >"$dir/lines"
split -l 5000 "$dir/lines" "$dir/lines."
# write_all URL: four clients
write_all() { find "$dir" -name 'lines.*' | sort | xargs -P 4 -n 20 sh -c 'for f; do curl -sf --data-binary "@$f" "$0" || echo "'"$1"' refused $f" >&2; done' "$1" >/dev/null; }
# peer NAME PID URL FOLDER: seconds of its processor, and bytes a point once it has settled
peer() {
    local before busy bytes
    before=$(cpu_ticks "$2")
    write_all "$3"
    sleep "${SETTLE:-20}"
    busy=$(calculate %.2f "($(cpu_ticks "$2") - $before) / $(getconf CLK_TCK)")
    kill "$2" && wait "$2" 2>/dev/null || true
    bytes=$(du -sb "$4" | cut -f 1)
    echo "$busy $(calculate %.3f "$bytes / $points")"
}

line=$("$bin/bench-series_store" bodies "$dir/ours")
ours=$(field processor_s <<<"$line") ours_bytes=$(field bytes_a_point <<<"$line")
echo "  ours: $ours s of a processor, $ours_bytes bytes a point, $(field memory_mb <<<"$line") MB (bodies among them), $(field rate <<<"$line") points a second"

cat >"$dir/influxdb.conf" <<CONFIG
reporting-disabled = true
bind-address = "$peers:8088"
[meta]
  dir = "$dir/influx/meta"
[data]
  dir = "$dir/influx/data"
  wal-dir = "$dir/influx/wal"
  cache-snapshot-write-cold-duration = "5s"
[http]
  bind-address = "$peers:8086"
  log-enabled = false
CONFIG
influxd run -config "$dir/influxdb.conf" >"$dir/influx.log" 2>&1 &
other_pids=$!
wait_for http://$peers:8086/ping
curl -sf http://$peers:8086/query --data-urlencode 'q=CREATE DATABASE points' >/dev/null
read -r influx influx_bytes <<<"$(peer InfluxDB $other_pids "http://$peers:8086/write?db=points" "$dir/influx")"
echo "  InfluxDB 1.6: $influx s, $influx_bytes bytes a point"

# It refuses what is older than its retention.
victoria-metrics -storageDataPath "$dir/victoria" -httpListenAddr $peers:8428 -retentionPeriod 100y >"$dir/victoria.log" 2>&1 &
other_pids=$!
wait_for http://$peers:8428/health
read -r victoria victoria_bytes <<<"$(peer VictoriaMetrics $other_pids "http://$peers:8428/write" "$dir/victoria")"
other_pids=
echo "  VictoriaMetrics: $victoria s, $victoria_bytes bytes a point"

# A day of one device, with as many points as there may be.
many=${MANY:-20000000}
line=$(DEVICES=1 FIELDS=1 ROWS=$many STEP_MS=$(calculate %.9f "86400000 / $many") "$bin/bench-series_store" values "$dir/day")
asked=$(DEVICES=1 FIELDS=1 ROWS=$many STEP_MS=$(calculate %.9f "86400000 / $many") "$bin/bench-series_store" ask "$dir/day")
echo "  $many points of a day, averages of its minutes: $(field first_ms <<<"$asked") ms, again $(field last_ms <<<"$asked") ms; written with $(field rate <<<"$line") points a second, $(field bytes_a_point <<<"$line") bytes each, $(field memory_mb <<<"$line") MB"

day="{\"points\": $many, \"first_ms\": $(field first_ms <<<"$asked"), \"last_ms\": $(field last_ms <<<"$asked"), \"memory_mb\": $(field memory_mb <<<"$line")}"

# HUGE=1: a thousand million points of 100 devices, which take minutes: what they take on disk and in memory, and a page of minutes of one.
huge='{}'
if [ -n "${HUGE:-}" ]; then
    line=$(DEVICES=100 FIELDS=10 ROWS=1000000 STEP_MS=1000 "$bin/bench-series_store" values "$dir/huge")
    asked=$(DEVICES=100 FIELDS=10 ROWS=1000000 STEP_MS=1000 "$bin/bench-series_store" ask "$dir/huge")
    rm -rf "$dir/huge"
    huge="{\"bytes_a_point\": $(field bytes_a_point <<<"$line"), \"memory_mb\": $(field memory_mb <<<"$line"), \"rate\": $(field rate <<<"$line"), \"first_ms\": $(field first_ms <<<"$asked"), \"last_ms\": $(field last_ms <<<"$asked")}"
    echo "  1e9 points: $huge"
fi

# What a message costs the hub, without the store and with it, by turns.
make_hub
start_hub
wait_for "$hub_ready"
"$bin/bench-devices" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --count 50 --key "$key"
stop_hub() {
    kill "$hub_pid"
    wait "$hub_pid" 2>/dev/null || true
}
ingest() { # ingest true|false: µs of the hub's for a message, and messages a second
    local line
    stop_hub
    sed -i "/^\[hub.series\]/,/^enabled/ s/^enabled = .*/enabled = $1/" "$dir/hub/hub.toml"
    start_hub
    wait_for "$hub_ready"
    line=$(measured "$hub_pid" "$bin/bench-mqtt_load" --host "$hub" --port 8883 --ca "$SKERRY_CA_FILE" --hub "$hub" --key "$key" --connections 50 \
        --in-flight 50 --size 256 --seconds "${SECONDS_EACH:-5}")
    echo "$(calculate %.3f "1e6 * $(field server_busy <<<"$line") / $(field rate <<<"$line")") $(field rate <<<"$line")"
}
without=() with=() without_rates=() with_rates=()
for _ in $(seq "${ROUNDS:-3}"); do
    ingest false >"$dir/figures" # not in a subshell: the hub is another one afterwards
    read -r us rate <"$dir/figures"
    without+=("$us") without_rates+=("$rate")
    ingest true >"$dir/figures"
    read -r us rate <"$dir/figures"
    with+=("$us") with_rates+=("$rate")
done
echo "  ingest over MQTT and TLS: $(median "${without[@]}") µs a message and $(median "${without_rates[@]}") a second without the store, $(median "${with[@]}") µs and $(median "${with_rates[@]}") with it"

write_result series "\"points\": $points, \"processor_s\": {\"ours\": $ours, \"influxdb\": $influx, \"victoriametrics\": $victoria}, \"bytes_a_point\": {\"ours\": $ours_bytes, \"influxdb\": $influx_bytes, \"victoriametrics\": $victoria_bytes}, \"day\": $day, \"huge\": $huge, \"ingest_us\": {\"without\": $(median "${without[@]}"), \"with\": $(median "${with[@]}")}, \"ingest_rate\": {\"without\": $(median "${without_rates[@]}"), \"with\": $(median "${with_rates[@]}")}"
