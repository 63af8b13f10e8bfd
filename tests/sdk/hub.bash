# A hub of its own for SDK tests: sourced with the folder of the programs and a loopback address that nothing else uses. Needs root:
# the SDKs dial ports 443, 5671 and 8883. Leaves $dir, $bin, $pids and what the tests read from the environment; all ends with the script.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$(cd "$1" && pwd)
hub=$2

pids=()
processes() { echo "${pids[@]}"; }
source "$here/../support/processes.bash"

# What README starts, moved: its own address beside other servers of this machine, and a port that tells when it is ready.
"$bin/skerry-hub" init "$dir/hub" --hostname "$hub" --listen "$hub" --metrics "$hub:9600" --json >"$dir/hub.json"
sed -i 's/^partitions = .*/&\nconsumer_groups = ["archive"]\ntake_events = true/' "$dir/hub/hub.toml"
sed -i "${HUB_SED:-}" "$dir/hub/hub.toml"
printf '\n[hub.chaos]\nenabled = true\n%s\n' "${HUB_TOML:-}" >>"$dir/hub/hub.toml"
"$bin/skerry-hub" run --config "$dir/hub/hub.toml" --log-level debug 2>"$dir/hub.log" &
pids+=($!)
said() { grep -o "\"[^\"]*$1[^\"]*\"" "$dir/hub.json" | tr -d '"' | head -n 1; }
export HUB_PID=$! HUB_CA="$dir/hub/ca.pem" BIN="$bin" HUB_CS EVENTS_CS
HUB_CS=$(said 'HostName=[^"]*=iothubowner;')
EVENTS_CS=$(said 'Endpoint=[^"]*=service;')
export NODE_EXTRA_CA_CERTS=$HUB_CA SKERRY_CONNECTION_STRING=$HUB_CS SKERRY_CA_FILE=$HUB_CA
wait_for "http://$hub:9600/health/ready"
