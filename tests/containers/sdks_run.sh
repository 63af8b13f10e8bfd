#!/usr/bin/env bash
# Unmodified modules of Azure's SDKs for Node and Python, and one of our own, each in an image: they find daemon and edge hub, pass messages on to
# one another and to the hub, follow their twins and answer methods.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
kept=$root/build/sdk/containers # what is brought once
mkdir -p "$kept"
absent() {
    echo "skipped: $*"
    exit 77
}
sdk=$root/tests/sdk
[ -d "$sdk/node_modules/azure-iot-device" ] || (cd "$sdk" && npm ci --silent --no-audit --no-fund) || absent "the Node packages cannot be brought"
if [ ! -e "$kept/python/installed" ]; then
    rm -rf "$kept/python"
    pip=(python3 -m pip)
    if ! "${pip[@]}" --version >/dev/null 2>&1; then
        python3 -m venv "$kept/venv" || absent "python3 has no pip"
        pip=("$kept/venv/bin/python" -m pip)
    fi
    "${pip[@]}" install --quiet --disable-pip-version-check --root-user-action=ignore --target "$kept/python" "$(grep '^azure-iot-device==' "$sdk/python/requirements.txt")" ||
        absent "the Python packages cannot be brought"
    touch "$kept/python/installed"
fi

source "$(dirname "$0")/support.bash" # from here on there is no network but its own
put "$dir/node" "$(command -v node)"
mkdir -p "$dir/node/app"
cp "$sdk/programs/module.js" "$dir/node/app"
node "$(dirname "$0")/programs/packages.js" "$sdk" azure-iot-device azure-iot-device-mqtt | (cd "$sdk" && tar -cf - -T -) | tar -C "$dir/node/app" -xf -
image "$dir/node" localhost/node:1 "ENTRYPOINT [\"$(command -v node)\",\"/app/module.js\"]" "STOPSIGNAL SIGKILL"

read -r python library < <(python3 -c 'import os, sys, sysconfig; print(os.path.realpath(sys.executable), sysconfig.get_path("stdlib"))')
put "$dir/python" "$python" "$library"/lib-dynload/*.so
tar -C / --exclude=__pycache__ --exclude="${library#/}/test" --exclude="${library#/}/site-packages" --exclude="${library#/}/dist-packages" \
    --exclude="${library#/}/config-*" --exclude="${library#/}/idlelib" --exclude="*/tests" -cf - "${library#/}" | tar -C "$dir/python" -xf -
cp -r "$kept/python" "$dir/python/packages"
cp "$(dirname "$0")/programs/module.py" "$dir/python/module.py"
image "$dir/python" localhost/python:1 "ENTRYPOINT [\"$python\",\"/module.py\"]" "ENV PYTHONPATH=/packages" "ENV PYTHONUNBUFFERED=1" "STOPSIGNAL SIGKILL"

put "$dir/sim" "$bin/skerry-sim"
image "$dir/sim" localhost/sim:1 "ENTRYPOINT [\"$bin/skerry-sim\"]"

start_edge
routes='"a": "FROM /messages/modules/sim/outputs/* INTO BrokeredEndpoint(\"/modules/node/inputs/in\")",
  "b": "FROM /messages/modules/node/outputs/out INTO BrokeredEndpoint(\"/modules/python/inputs/in\")",
  "c": "FROM /messages/modules/python/outputs/out INTO $upstream"'
twins='"node": {"properties.desired": {"greeting": "hello"}}, "python": {"properties.desired": {"greeting": "bonjour"}}'
deploy "$(module sim localhost/sim:1 "" "$local_only")" "$(module node localhost/node:1 "" "$local_only")" "$(module python localhost/python:1 "" "$local_only")"
for name in sim node python; do until_is "$name runs" running stands $name; done
greeting() { "$bin/skerry" twin show "edge/$1" --output json | jq -r .properties.reported.greeting; }
until_is "the Node module's twin" hello greeting node
until_is "the Python module's twin" bonjour greeting python
called() { "$bin/skerry" method call "edge/$1" hello --payload '"you"' --output json | jq -c .payload; }
until_is "a method of the Node module" '{"hello":"you"}' called node
until_is "a method of the Python module" '{"python":"you"}' called python
"$bin/skerry" events watch --from earliest --properties --output jsonl >"$dir/events.jsonl" 2>"$dir/events.log" &
other_pids=$!
passed() { grep -c '"echoed":"in"' "$dir/events.jsonl" || true; }
until_like "messages through Node and Python to the hub" '^[1-9]' passed
expect "and by Python" "$(grep '"echoed":"in"' "$dir/events.jsonl" | head -n 1 | grep -c '"by":"python"')" 1
"$bin/skerry" twin update edge/python --desired '{"greeting": "salut"}' >/dev/null
until_is "a change of its twin" salut greeting python

# A module that ends with an error is restarted, and works again.
"$bin/skerry" method call edge/node die --payload null >/dev/null 2>&1 || true
until_is "restarted" 1 stands node restartCount
until_is "a method after that" '{"hello":"you"}' called node

# What GetModuleLogs tells.
logs() { "$bin/skerry" method call 'edge/$edgeAgent' GetModuleLogs --payload "$1" --output json; }
lines='{"schemaVersion":"1.0","items":[{"id":"^python$","filter":{"tail":1}}],"contentType":"json","encoding":"gzip"}'
expect "logs, packed" "$(logs "$lines" | jq -r '.payload[0].payloadBytes' | base64 -d | gunzip | jq -c '[length, .[0].id, .[0].device]')" '[1,"python","edge"]'
expect "logs, as text" "$(logs '{"schemaVersion":"1.0","items":{"id":".*","filter":{"tail":1}}}' | jq -c '[.payload[].id] | sort')" '["node","python","sim"]'
exit $failed
