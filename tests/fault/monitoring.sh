#!/usr/bin/env bash
# The alerts for Prometheus and the dashboards for Grafana name metrics that there are; alerts fire when they should, and a hub that
# Prometheus has scraped shows on them.
source "$(dirname "$0")/support.bash"
folder=packaging/monitoring
promtool check rules "$folder/prometheus-alerts.yml" >"$dir/check" 2>&1 || expect "promtool check rules" "$(cat "$dir/check")" fine
promtool test rules "$folder/prometheus-alerts.test.yml" >"$dir/test" 2>&1 || expect "promtool test rules" "$(cat "$dir/test")" fine

# Every name of a metric, without what a query adds to it, is in the hub's list or in the edge's program.
"$bin/skerry-hub" reference --metrics >"$dir/hub-metrics"
names=$(cat "$folder"/grafana-*.json "$folder/prometheus-alerts.yml" |
    grep -oE '\b(skerry_(hub|edge)_[a-z_]+|edge(hub|Agent)_[a-z_]+|(d2c|c2d)_[A-Za-z_]+|connectedDeviceCount|dailyMessageQuotaUsed)\b' | sort -u)
expect "metrics that are named" "$([ "$(wc -l <<<"$names")" -gt 50 ] && echo many)" many
for name in $names; do
    grep -qF "\`$name\`" "$dir/hub-metrics" || grep -qaF "$name" "$bin/skerry-edge" || expect "a metric $name" none one
done
for file in "$folder"/grafana-*.json; do
    expect "$file" "$(python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); print(len({p["id"] for p in d["panels"]}) == len(d["panels"]) > 10)' "$file")" True
done
exit $failed
