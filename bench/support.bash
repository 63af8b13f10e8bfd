# Shared by bench/*.sh: sourced with the folder of release programs. Servers as the fault tests start them, and results.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Bytes of benchmarks go to the disk of the build, not to a /tmp in memory.
export TMPDIR=$root/build
source "$root/tests/fault/support.bash" "$1"
# Copies of our own: memory is not shared with other processes of the same files, and no build changes them meanwhile.
mkdir "$dir/bin"
cp "$bin"/skerry* "$bin"/bench-* "$dir/bin"
bin=$dir/bin
key=$(head -c 32 /dev/urandom | base64)
ulimit -n 20000 || echo "few descriptors: connections will be refused" >&2

median() { # median NUMBER…
    printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

calculate() { # calculate FORMAT EXPRESSION
    awk "BEGIN { printf \"$1\", $2 }"
}

field() { # field NAME: of a line of JSON with plain values
    sed 's/.*"'"$1"'":\([^,}]*\).*/\1/'
}

# A load generator's line of JSON, with what both sides needed of a processor meanwhile: "server_busy" and "client_busy", 1 being all of
# one. Who is not busy was not measured: a rate then is the other side's.
measured() { # measured PID_OF_THE_SERVER COMMAND…
    local pid=$1 before began line took user system
    shift
    before=$(cpu_ticks "$pid") began=$EPOCHREALTIME
    line=$({ TIMEFORMAT='%U %S' && time "$@" 2>&3; } 3>&2 2>"$dir/times")
    took=$(calculate %.3f "$EPOCHREALTIME - $began")
    read -r user system <<<"$(tail -n 1 "$dir/times")"
    printf '%s,"server_busy":%s,"client_busy":%s}\n' "${line%\}}" \
        "$(calculate %.2f "($(cpu_ticks "$pid") - $before) / $(getconf CLK_TCK) / $took")" "$(calculate %.2f "($user + $system) / $took")"
}
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
percent() { calculate %.0f "100 * $1"; }
# A line of JSON for people: the rate, and how busy both sides were.
shares() { echo "$(field rate <<<"$1") ($(percent "$(field server_busy <<<"$1")"), $(percent "$(field client_busy <<<"$1")"))"; }
# Whether a ratio of rates says something about the slower server.
counts() { # counts SERVER_BUSY
    [ "$(calculate %d "($1 >= 0.9)")" = 1 ] && echo "counts: it was busy" || echo "does not count: it was busy to $(percent "$1") % only"
}

# The memory that processes take: private pages, and their part of shared ones.
pss_kb() { # pss_kb PID…
    local pid
    for pid in "$@"; do sed -n 's/^Pss: *//p' "/proc/$pid/smaps_rollup"; done | awk '{ sum += $1 } END { print sum }'
}

# Mosquitto as a peer: the hub's own certificate, nothing kept on disk, nothing logged, no limits in its way. Listens on $hub:8884.
start_mosquitto() {
    cat >"$dir/mosquitto.conf" <<CONFIG
listener 8884 $hub
certfile $dir/hub/server.pem
keyfile $dir/hub/server.key
allow_anonymous true
user root
persistence false
set_tcp_nodelay true
max_inflight_messages 0
max_queued_messages 100000
log_dest none
CONFIG
    "$(command -v mosquitto || echo /usr/sbin/mosquitto)" -c "$dir/mosquitto.conf" &
    mosquitto_pid=$!
    other_pids="$other_pids $mosquitto_pid"
    for _ in $(seq 100); do
        (: <"/dev/tcp/$hub/8884") 2>/dev/null && return
        sleep 0.05
    done
    echo "mosquitto does not listen"
    return 1
}

# Writes bench/results/NAME.json, or $RESULTS/NAME.json: when, where, and the figures given as JSON members.
write_result() { # write_result NAME MEMBERS
    local folder=${RESULTS:-$root/bench/results}
    mkdir -p "$folder"
    cat >"$folder/$1.json" <<JSON
{
  "name": "$1",
  "date": "$(date -u +%Y-%m-%dT%H:%M:%SZ)",
  "machine": {"cpu": "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)", "processors": $(nproc), "kernel": "$(uname -r)"},
  $2
}
JSON
}
