#!/usr/bin/env bash
# The portal in Chromium: how long until something is painted, a live chart of 50 series at 10 values a second each, and a list of many devices that
# is opened and scrolled. There is no peer. Wall times are those of a machine that may be busy, so processor time is measured beside them; the
# renderer's is that of the page alone. Needs root (port 443), Node.js and a Chromium; DEVICES, SERIES, SECONDS_EACH, ROUNDS, PAGES say how much.
source "$(dirname "$0")/support.bash"
devices=${DEVICES:-1000000} series=${SERIES:-50} hertz=10 seconds=${SECONDS_EACH:-20}
export CHROMIUM=${CHROMIUM:-$(command -v chromium)}

make_hub
start_hub
wait_for "$hub_ready"
export HUB_CS=$SKERRY_CONNECTION_STRING HUB_CA=$SKERRY_CA_FILE
make_devices() { "$bin/bench-devices" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --count "$1" --key "$key" >/dev/null; }
look() { node "$root/bench/portal.js" "$@"; } # a line of JSON

paint=$(look paint "${ROUNDS:-9}")
echo "portal: first paint $(field wall_ms <<<"$paint") ms with nothing in the cache ($(field cpu_ms <<<"$paint") ms of a processor on the main thread), $(field again_ms <<<"$paint") ms signed in; $(field bytes <<<"$paint") bytes"
make_devices "$series"
chart=$(look chart "$series" "$hertz" "$seconds" "$key")
echo "  live chart of $series series at $hertz Hz ($(field per_second <<<"$chart") values a second came): $(percent "$(field renderer <<<"$chart")") % of a processor in the renderer, $(percent "$(field main_thread <<<"$chart")") % in its main thread"
make_devices "$devices"
before=$(cpu_ticks "$hub_pid")
list=$(look list "${PAGES:-50}")
list="${list%\}},\"hub_cpu_ms\":$(calculate %.0f "1000 * ($(cpu_ticks "$hub_pid") - $before) / $(getconf CLK_TCK)"),\"hub_pss_kb\":$(pss_kb "$hub_pid")}"
echo "  list of $devices devices: first rows after $(field first_ms <<<"$list") ms, a page of 100 after $(field page_ms <<<"$list") ms ($(field page_cpu_ms <<<"$list") ms of the tab), to row $(field rows <<<"$list")"
echo "    tab $(field tab_kb <<<"$list") KB of script memory, $(field nodes <<<"$list") nodes; hub $(field hub_pss_kb <<<"$list") KB, $(field hub_cpu_ms <<<"$list") ms of a processor for all of it"
write_result portal "\"devices\": $devices, \"paint\": $paint, \"chart\": $chart, \"list\": $list"
