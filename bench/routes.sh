#!/usr/bin/env bash
# Route conditions a second on one core, against a message with 256 bytes of JSON.
source "$(dirname "$0")/support.bash"
lines=$("$bin/bench-routes" "${SECONDS_EACH:-2}")
echo "routes: evaluations a second on one core"
while read -r line; do
    printf '  %-80s %12s\n' "$(sed 's/.*"condition":"\(.*\)","per_second.*/\1/' <<<"$line")" "$(field per_second <<<"$line")"
done <<<"$lines"
write_result routes "\"bytes_of_body\": 256,
  \"conditions\": [$(paste -sd, <<<"$lines")]"
