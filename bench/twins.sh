#!/usr/bin/env bash
# Queries over a million twins, to the first page: one by one value, before and after its values are kept in order, and those that must look
# at all of them. Twins are written into the registry's file, as fast as it takes them.
source "$(dirname "$0")/support.bash"
count=${TWINS:-1000000} times=${TIMES:-5}

make_hub
start_hub
wait_for "$hub_ready"
kill "$hub_pid" && wait "$hub_pid" || true
began=$EPOCHREALTIME
"$bin/bench-twins" --fill "$dir/hub/data/test/registry.db" --count "$count"
filled=$(calculate %.0f "$EPOCHREALTIME - $began")
echo "twins: $count of them, $(du -m "$dir/hub/data/test/registry.db" | cut -f 1) MB, written in $filled s; ms to the first page, median of $times"
start_hub
wait_for "$hub_ready"

query() { # query TIMES TEXT
    "$bin/bench-twins" --service "$SKERRY_CONNECTION_STRING" --ca "$SKERRY_CA_FILE" --times "$1" --query "$2"
}
members=
row() { # row NAME TIMES TEXT
    local line
    line=$(query "$2" "$3")
    printf '  %-44s %10s ms  %4s rows\n' "$1" "$(field ms <<<"$line")" "$(field rows <<<"$line")"
    members+="\"$1\": $line,
  "
}
some="SELECT * FROM devices WHERE tags.site = 'site-4711'"
row "one value, first time" 1 "$some"
in_order() { "$bin/skerry" query "EXPLAIN $asked" | grep -q 'kept in order'; }
wait_for_order() { # wait_for_order QUERY
    local began=$EPOCHREALTIME
    asked=$1
    until until_true in_order; do # half a minute each
        [ "${EPOCHREALTIME%.*}" -lt $((${began%.*} + 180)) ] || { echo "the values are not kept in order" && exit 1; }
    done
    echo "  (their values were put in order within $(calculate %.0f "$EPOCHREALTIME - $began") s)"
}
wait_for_order "$some"
row "one value, kept in order" "$times" "$some"
row "one value and another condition" "$times" "$some AND properties.reported.temperature > 30"
few="SELECT * FROM devices WHERE properties.reported.temperature > 69.85"
row "a range, first times" 2 "$few"
wait_for_order "$few"
row "a range, kept in order" "$times" "$few"
row "a page of all" "$times" "SELECT * FROM devices"
row "all, none found" "$times" "SELECT * FROM devices WHERE properties.reported.temperature + 0 > 1000"
row "all, counted" "$times" "SELECT COUNT() AS n FROM devices WHERE tags.model = 'pump' OR tags.place.floor = 3"
row "all, grouped" "$times" "SELECT properties.reported.firmware.version AS v, COUNT() AS n FROM devices GROUP BY properties.reported.firmware.version"
echo "memory of the hub: $(pss_kb "$hub_pid") kB"
write_result twins "\"twins\": $count,
  $members\"pss_kb\": $(pss_kb "$hub_pid")"
