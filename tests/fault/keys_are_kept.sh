#!/usr/bin/env bash
# Keys stay where they belong: files that hold them are mended at the start, and only the daemon of an edge has the device's key in its
# memory. Beside it what stands in the way of a start: encrypted and expired CAs, modules of several users.
source "$(dirname "$0")/support.bash"
mode() { stat -c %a "$1"; }

# holds PID TEXT: whether a process has it in the memory that it can write.
holds() {
    local range from to rights _
    while read -r range rights _; do
        case $rights in rw*) ;; *) continue ;; esac
        from=$((16#${range%-*})) to=$((16#${range#*-}))
        dd if="/proc/$1/mem" iflag=skip_bytes,count_bytes skip=$from count=$((to - from)) bs=1M 2>/dev/null
    done <"/proc/$1/maps" | grep -qaF -- "$2"
}
says() { holds "$1" "$2" && echo yes || echo no; }

make_hub
start_hub
wait_for $hub_ready
kill "$hub_pid"
wait "$hub_pid" || true
chmod 644 "$dir/hub/hub.toml"
find "$dir/hub" -name 'registry.db*' -exec chmod 644 {} +
chmod 755 "$dir"/hub/data/* 2>/dev/null || true
registry=$(find "$dir/hub" -name registry.db)
chmod 755 "$(dirname "$registry")"
"$bin/skerry-hub" check --config "$dir/hub/hub.toml" >/dev/null 2>"$dir/check" || true
expect "check warns of hub.toml" "$(grep -c "hub.toml holds keys" "$dir/check")" 1
expect "check warns of the data folder" "$(grep -c "chmod 700" "$dir/check")" 1
start_hub
wait_for $hub_ready
expect "hub.toml" "$(mode "$dir/hub/hub.toml")" 600
expect "the data folder" "$(mode "$(dirname "$registry")")" 700
for file in "$registry"*; do expect "$(basename "$file")" "$(mode "$file")" 600; done

make_edge "$(deployed first daemon /bin/sleep 1000)" "$(deployed second nobody /bin/sleep 1000)" "$(deployed third "" /bin/sleep 1000)"
start_edge
wait_for $edge_ready
for _ in $(seq 100); do
    [ "$("$bin/skerry-edge" list --config "$dir/edge.toml" 2>/dev/null | grep -c '^[a-z]*d\? .* running ')" -ge 3 ] && break
    sleep 0.1
done
for module in first second third; do
    expect "module $module" "$("$bin/skerry-edge" list --config "$dir/edge.toml" | awk -v m=$module '$1 == m { print $2 }')" running
done

key=$("$bin/skerry" device connection-string edge | sed 's/.*SharedAccessKey=//')
daemon=$(pgrep -P "$edge_pid" skerry-daemon) agent=$(pgrep -P "$edge_pid" skerry-agent) edge_hub=$(pgrep -P "$edge_pid" skerry-edgehub)
expect "the daemon has the device's key" "$(says "$daemon" "$key")" yes
expect "the agent has it" "$(says "$agent" "$key")" no
expect "the edge hub has it" "$(says "$edge_hub" "$key")" no
expect "their parent has it" "$(says "$edge_pid" "$key")" no
kill -9 "$daemon"
for _ in $(seq 100); do
    daemon=$(pgrep -P "$edge_pid" skerry-daemon) && [ -S "$dir/edge/sockets/management" ] && says "$daemon" "$key" | grep -q yes && break
    sleep 0.1
done
expect "the daemon has it again" "$(says "$daemon" "$key")" yes
expect "their parent still has it not" "$(says "$edge_pid" "$key")" no
kill "$edge_pid"
wait "$edge_pid" || true

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -keyout "$dir/given.key" -passout pass:secret -out "$dir/given.pem" -days 2 \
    -subj /CN=given 2>/dev/null
printf '[edge_ca]\ncert = "file://%s/given.pem"\npk = "file://%s/given.key"\n' "$dir" "$dir" >>"$dir/edge.toml"
start_edge
code=0
wait "$edge_pid" || code=$?
expect "an encrypted key of the CA ends the edge" "$code" 1
expect "and is named" "$(grep -c '\[edge_ca\] pk).* is encrypted' "$dir/edge.log")" 1
openssl ec -in "$dir/given.key" -passin pass:secret -out "$dir/given.key" 2>/dev/null
openssl req -x509 -key "$dir/given.key" -out "$dir/given.pem" -days -1 -subj /CN=given 2>/dev/null ||
    openssl x509 -req -in <(openssl req -new -key "$dir/given.key" -subj /CN=given) -signkey "$dir/given.key" -days -1 \
        -extfile <(echo basicConstraints=critical,CA:TRUE) -out "$dir/given.pem" 2>/dev/null
start_edge
wait_for $edge_ready
expect "an expired CA is said at the start" "$(grep -c 'has expired at' "$dir/edge.log")" 1
expect "and by check" "$("$bin/skerry-edge" check --config "$dir/edge.toml" | grep -c "has expired")" 1
[ $failed = 0 ] && echo "keys stay where they belong"
exit $failed
