#!/usr/bin/env bash
# From the start of a program to its first service: the hub until it is ready, the edge until a leaf has its first PUBACK; the edge both
# with an empty folder (keys and certificates are made, identities fetched) and as it starts again. Median of ROUNDS (5).
source "$(dirname "$0")/support.bash"
rounds=${ROUNDS:-5}

make_hub
start=("$bin/bench-start" --ready "$hub:9600" "$bin/skerry-hub" run --config "$dir/hub/hub.toml")
"${start[@]}" >/dev/null 2>>"$dir/hub.log" # makes the data
hub_ms=() first_ms=() again_ms=()
for _ in $(seq "$rounds"); do hub_ms+=("$("${start[@]}" 2>>"$dir/hub.log")"); done

start_hub
wait_for "$hub_ready"
make_edge
"$bin/skerry" device add leaf --parent edge >/dev/null
leaf=$("$bin/skerry" device connection-string leaf --gateway $edge)
start=("$bin/bench-start" --puback "$leaf" "$bin/skerry-edge" run --config "$dir/edge.toml")
for _ in $(seq "$rounds"); do
    rm -rf "$dir/edge"
    first_ms+=("$("${start[@]}" 2>>"$dir/edge.log")")
    again_ms+=("$("${start[@]}" 2>>"$dir/edge.log")")
done

a=$(median "${hub_ms[@]}") b=$(median "${first_ms[@]}") c=$(median "${again_ms[@]}")
echo "start: milliseconds, median of $rounds"
printf '  %-48s %8s\n' "skerry-hub to ready" "$a" "skerry-edge, new folder, to a leaf's first PUBACK" "$b" \
    "skerry-edge again, to a leaf's first PUBACK" "$c"
write_result start "\"hub_ready_ms\": [$(IFS=, && echo "${hub_ms[*]}")],
  \"edge_first_puback_new_ms\": [$(IFS=, && echo "${first_ms[*]}")],
  \"edge_first_puback_again_ms\": [$(IFS=, && echo "${again_ms[*]}")],
  \"medians\": {\"hub_ready_ms\": $a, \"edge_first_puback_new_ms\": $b, \"edge_first_puback_again_ms\": $c}"
