#!/usr/bin/env bash
# An edge whose keys are in a PKCS#11 token (SoftHSM's) or a TPM (swtpm): the confined daemon gets at them, no key is in a file, and when the token or TPM is
# away the daemon says so and comes back with it, while modules run on.
source "$(dirname "$0")/support.bash"
daemon_user=$(id -u skerry-daemon 2>/dev/null || echo 61172)

# Each kind: make_, vanish_ and return_, and what config.toml says.
make_pkcs11() {
    export SOFTHSM2_CONF=$dir/softhsm.conf
    mkdir "$dir/tokens"
    echo "directories.tokendir = $dir/tokens" >"$SOFTHSM2_CONF"
    softhsm2-util --init-token --free --label edge --so-pin 1234 --pin 5678 >/dev/null
    chown -R "$daemon_user" "$dir/tokens"
    (umask 077 && echo 5678 >"$dir/pin") # root's alone
    config_pkcs11="[aziot_keys]
pkcs11_lib_path = \"/usr/lib/softhsm/libsofthsm2.so\"
pkcs11_base_slot = \"pkcs11:token=edge?pin-source=file://$dir/pin\""
}
vanish_pkcs11() { mv "$dir/tokens" "$dir/away" && mkdir "$dir/tokens"; }
return_pkcs11() { rmdir "$dir/tokens" && mv "$dir/away" "$dir/tokens"; }
gone_pkcs11="The PKCS#11 token 'edge' is not there"
start_swtpm() {
    swtpm socket --tpm2 --tpmstate "dir=$dir/tpm" --server "type=unixio,path=$dir/tpm.sock,uid=$daemon_user" \
        --ctrl "type=unixio,path=$dir/tpm.sock.ctrl,uid=$daemon_user" --flags not-need-init,startup-clear 2>>"$dir/tpm.log" &
    other_pids=$!
    until_true test -S "$dir/tpm.sock"
}
make_tpm() {
    mkdir "$dir/tpm"
    start_swtpm
    config_tpm="[tpm]
tcti = \"swtpm:path=$dir/tpm.sock\""
}
vanish_tpm() {
    kill_hard "$other_pids"
    other_pids=
    rm -f "$dir/tpm.sock"
}
return_tpm() { start_swtpm; }
gone_tpm="The TPM (swtpm:path=$dir/tpm.sock) fails at 'opening'"

reports() { "$bin/skerry" twin show "$1/sender" 2>/dev/null | grep -q SendInterval; }
daemon() { pgrep -P "$edge_pid" skerry-daemon; }
readies() { grep -c ' daemon: *ready\|daemon.*ready' "$dir/edge.log"; }
is_ready_again() { [ "$(readies)" -gt "$1" ]; }

make_hub
start_hub
wait_for $hub_ready
for kind in pkcs11 tpm; do
    make_$kind
    config=config_$kind gone=gone_$kind
    "$bin/skerry" device add "in-$kind" --edge >/dev/null
    { edge_config "in-$kind" $edge "$dir/$kind-data" "$dir/hub/ca.pem"; echo "key_store = \"$kind\""; echo "${!config}"; } >"$dir/edge.toml"
    deployment "$(deployed sender "" "$bin/skerry-sim")" >"$dir/modules.json"
    "$bin/skerry" edge set-modules "in-$kind" "$dir/modules.json" >/dev/null
    : >"$dir/edge.log"
    start_edge
    wait_for $edge_ready || failed=1
    until_true reports "in-$kind" || true
    expect "what the module of in-$kind reports" "$(reports "in-$kind" && echo yes || echo no)" yes
    expect "keys of $kind in files" "$(find "$dir/$kind-data/keys" -name '*.key' | wc -l)" 0
    expect "the daemon's user" "$(stat -c %u "/proc/$(daemon)")" "$daemon_user"

    module=$(sed -n 's/.* module sender started (pid \([0-9]*\))/\1/p' "$dir/edge.log" | tail -n 1)
    vanish_$kind
    kill -9 "$(daemon)"
    until_true grep -qF "${!gone}" "$dir/edge.log" || true
    expect "that the $kind has gone is said" "$(grep -cF "${!gone}" "$dir/edge.log" | sed 's/^[1-9].*/yes/')" yes
    expect "the module runs on" "$([ -e "/proc/$module" ] && echo yes || echo no)" yes
    before=$(readies)
    return_$kind
    until_true is_ready_again "$before" || true
    expect "the daemon is back" "$(is_ready_again "$before" && echo yes || echo no)" yes
    expect "and the module ran all the time" "$([ -e "/proc/$module" ] && echo yes || echo no)" yes
    # Without the hub, right after a start, modules get their signatures.
    kill_hard "$hub_pid"
    before=$(readies)
    kill -9 "$(daemon)"
    until_true is_ready_again "$before" || true
    expect "a signature offline" "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$dir/$kind-data/sockets/edgeAgent.sock" -d '{"data":"AAAA"}' \
        'http://d/modules/%24edgeAgent/genid/1/sign?api-version=2022-08-03')" 200
    start_hub
    wait_for $hub_ready
    kill -9 "$module" # the next one asks for a signature
    until_true grep -q 'module sender started.*' <(tail -n +2 <(grep 'module sender started' "$dir/edge.log")) || true
    for log in "$dir/edge.log"; do expect "processes ended by their filter" "$(grep -c 'Bad system call\|signal 31' "$log")" 0; done
    kill "$edge_pid"
    wait "$edge_pid" || true
    edge_pid=
done
exit $failed
