#!/usr/bin/env bash
# A hub that was started as root and is root no more is changed by command while it is killed again and again: hub.toml, which is root's
# alone, is the former one or the new one at any moment, what was answered is in it, and every comment stays.
source "$(dirname "$0")/support.bash"
chmod 755 "$dir"
make_hub
config=$dir/hub/hub.toml
printf '\n# the end, as people wrote it\n' >>"$config"
comments=$(grep -c '^#' "$config")
start_hub
wait_for $hub_ready
as_root=$([ "$(id -u)" = 0 ] && echo yes || true)
if [ "$as_root" ]; then
    expect "who serves" "$([ "$(ps -o uid= -p "$hub_pid" | tr -d ' ')" = 0 ] && echo root || echo nobody)" nobody
    expect "whose hub.toml is" "$(stat -c '%u %a' "$config")" "0 600"
fi

"$bin/skerry" policy add board --right RegistryRead --right ServiceConnect >/dev/null
first=$("$bin/skerry" policy list --output json | jq -r '.[] | select(.keyName == "board").primaryKey')
board() { SKERRY_CONNECTION_STRING="$(sed "s/SharedAccessKeyName=.*/SharedAccessKeyName=board;SharedAccessKey=$1/;" <<<"$SKERRY_CONNECTION_STRING")" \
    "$bin/skerry" device list >/dev/null 2>&1 && echo opens || echo refused; }
expect "the new policy's key" "$(board "$(sed 's/[&/]/\\&/g' <<<"$first")")" opens
"$bin/skerry" policy renew-key board >/dev/null
expect "the key after another was made" "$(board "$(sed 's/[&/]/\\&/g' <<<"$first")")" refused
[ -z "$as_root" ] || expect "whose hub.toml is then" "$(stat -c '%u %a' "$config")" "0 600"
"$bin/skerry" route add hot --condition 't > 1' >/dev/null
"$bin/skerry" route update hot --enabled false >/dev/null
"$bin/skerry" enrichment add site north >/dev/null
"$bin/skerry" endpoint add hook https://192.0.2.1/x --type webhook >/dev/null
"$bin/skerry" endpoint add mails smtp+plain://192.0.2.1 --type mail --from a@plant.example --recipient b@plant.example --subject '{device}' >/dev/null
expect "a mail's addresses" "$(grep -c '^recipients = \["b@plant.example"\]$' "$config")" 1
"$bin/skerry" ip-rule add lab 192.0.2.0/24 --action Reject >/dev/null
expect "a folder by REST" "$("$bin/skerry" endpoint add f /etc --type folder 2>&1 | grep -c 'in hub.toml')" 1

answered=0
for round in $(seq 1 12); do
    (sleep "0.$((RANDOM % 40 + 20))" && kill -9 "$hub_pid") 2>/dev/null &
    killer=$!
    for i in $(seq 1 20); do
        if timeout 10 "$bin/skerry" consumer-group add "g$round" >/dev/null 2>&1; then
            answered=$((answered + 1))
            grep -q "\"g$round\"" "$config" || expect "an answered group g$round" absent "in hub.toml"
            timeout 10 "$bin/skerry" consumer-group remove "g$round" >/dev/null 2>&1 || break
        else
            break
        fi
    done
    wait $killer || true
    wait "$hub_pid" 2>/dev/null || true
    "$bin/skerry-hub" check --config "$config" >/dev/null || expect "hub.toml after a kill" broken whole
    expect "comments after a kill" "$(grep -c '^#' "$config")" "$comments"
    start_hub
    wait_for $hub_ready
done
[ "$answered" -gt 0 ] || expect "changes that were answered" 0 some
expect "the route" "$("$bin/skerry" route list --output json | jq -c '.[] | [.name, .isEnabled]')" '["hot",false]'
for what in "route remove hot" "enrichment remove site" "endpoint remove hook" "ip-rule remove lab" "policy remove board"; do
    "$bin/skerry" $what >/dev/null || expect "$what" refused done
done
expect "comments at the end" "$(grep -c '^#' "$config")" "$comments"
printf '# mine\n[[hub.route]]\nname = "theirs"\n' >>"$config"
expect "a file that was changed meanwhile" "$("$bin/skerry" consumer-group add late 2>&1 | grep -c 'skerry-hub reload')" 1
"$bin/skerry-hub" reload --config "$config" >/dev/null
sleep 1
expect "after a reload" "$("$bin/skerry" consumer-group add late --output json | jq -r .name)" late

# Signals in plenty are few reloads, and the last of them counts.
reloads() { grep -c 'certificates read again' "$dir/hub.log"; }
before=$(reloads) began=${EPOCHREALTIME/[^0-9]/}
for _ in $(seq 400); do
    kill -HUP "$hub_pid"
    sleep 0.003
done
sed -i 's/^consumer_groups = .*/consumer_groups = ["last"]/' "$config"
kill -HUP "$hub_pid"
has_last() { [ "$("$bin/skerry" consumer-group list --output json | jq -c '[.[].name]')" = '["$Default","last"]' ]; }
until_true has_last || expect "the last reload" absent there
made=$(($(reloads) - before)) most=$(((${EPOCHREALTIME/[^0-9]/} - began) / 200000 + 2))
[ "$made" -le "$most" ] || expect "reloads for 401 signals" "$made" "at most $most"

[ $failed = 0 ] && echo "hub.toml was whole after 12 kills, $answered changes were answered"
exit $failed
