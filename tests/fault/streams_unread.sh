#!/usr/bin/env bash
# 300 streams of events that nobody reads, and messages of 200 KB for each of them: the hub takes these, its memory has a bound, and when they
# have gone it gives back what they took.
source "$(dirname "$0")/support.bash"
make_hub
start_hub
wait_for $hub_ready
"$bin/skerry" device add d1 >/dev/null
token=$("$bin/skerry" policy sas)
pss_mb() { sed -n 's/^Pss: *\([0-9]*\).*/\1/p' "/proc/$hub_pid/smaps_rollup" | awk '{ print int($1 / 1024) }'; }
small_again() { [ "$(pss_mb)" -lt 60 ]; }

mkfifo "$dir/hold"
python3 "$(dirname "$0")/streams_unread.py" $hub "$SKERRY_CA_FILE" "$token" 300 <"$dir/hold" >"$dir/streams" &
other_pids=$!
exec 3>"$dir/hold"
until_true grep -q open "$dir/streams" || { echo "the streams do not open"; exit 1; }
head -c 200000 /dev/zero | tr '\0' x >"$dir/body"
for _ in $(seq 15); do
    code=$(curl -s --cacert "$SKERRY_CA_FILE" -H "Authorization: $token" -o /dev/null -w '%{http_code}' --data-binary "@$dir/body" \
        "https://$hub/devices/d1/messages/events?api-version=2021-04-12")
    expect "a message is taken" "$code" 204
done
most=$(pss_mb)
[ "$most" -lt 200 ] || expect "memory with streams that nobody reads" "$most MB" "less than 200 MB"
exec 3>&-
until_true small_again || until_true small_again || until_true small_again || until_true small_again || until_true small_again ||
    expect "memory after they have gone" "$(pss_mb) MB" "less than 60 MB"
[ $failed = 0 ] && echo "streams that nobody reads are bounded: $most MB, then $(pss_mb) MB"
exit $failed
