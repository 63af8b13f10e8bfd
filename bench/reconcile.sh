#!/usr/bin/env bash
# Processor time of what an agent does every 5 s when nothing has changed, with 50 modules: 24 processes, 24 containers, 2 of the system.
source "$(dirname "$0")/support.bash"
mkdir "$dir/agent"
line=$("$bin/bench-reconcile" "$dir/agent" "${SECONDS_EACH:-2}")
echo "reconcile: 50 modules, nothing to do; processor time at each of the agent's ticks (every 5 s)"
printf '  %-32s %8s ms (goal: at most 5)\n' "reconcile" "$(field reconcile_ms <<<"$line")"
printf '  %-32s %8s ms\n' "report, compared with the last" "$(field report_ms <<<"$line")"
write_result reconcile "\"ticks\": $line"
