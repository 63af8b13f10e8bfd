# Shared by tests/fault and tests/sdk: processes of ours in a folder of their own, all gone at the end. Whoever sources it says in
# processes() which there are now, in the order in which they end.
dir=$(mktemp -d)

finish() {
    local code=$?
    for pid in $(processes); do kill "$pid" 2>/dev/null || true; done
    for pid in $(processes); do wait "$pid" 2>/dev/null || true; done
    if [ $code != 0 ] && [ $code != 77 ]; then # 77: skipped
        for log in "$dir"/*.log; do
            echo "--- $(basename "$log")"
            tail -n 100 "$log"
        done
    fi
    rm -rf "$dir"
    exit $code
}
trap finish EXIT

wait_for() { # wait_for URL
    for _ in $(seq 400); do
        curl -sf -o /dev/null "$1" && return
        sleep 0.05
    done
    echo "$1 does not answer" >&2
    return 1
}

edge_config() { # edge_config DEVICE ADDRESS FOLDER HUB_CA [LINE]: the device is there
    cat <<CONFIG
hostname = "$2"
${5:-}
[provisioning]
source = "manual"
connection_string = "$("$bin/skerry" device connection-string "$1")"
[skerry]
data = "$3"
hub_trust = "$4"
listen = ["$2"]
metrics = "$2:9600"
CONFIG
}
