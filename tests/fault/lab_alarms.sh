#!/usr/bin/env bash
# Does what docs/labs/08-alarms.md tells its reader, line by line, in a network and a /tmp of its own, and looks whether it came about. Needs root.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd) bin=$(cd "$1" && pwd)
if [ "${LAB:-}" != alone ]; then
    # shellcheck disable=SC1091
    source "$root/script/common.sh"
    need rabbitmq-server python3-qpid-proton curl
    exec unshare --mount --net --pid --fork --mount-proc --propagation private env LAB=alone "$0" "$bin"
fi
ip link set lo up
mount -t tmpfs lab /mnt # the tree may stand below /tmp, which is about to be another
mkdir /mnt/tree
mount --bind "$root" /mnt/tree
bin=/mnt/tree${bin#"$root"} root=/mnt/tree
mount -t tmpfs lab /tmp
export HOME=/tmp/home PATH=/usr/bin:$PATH
mkdir -p $HOME /tmp/clone/script /tmp/clone/build/release
printf '#!/bin/sh\n' >/tmp/clone/script/build
chmod +x /tmp/clone/script/build
ln -s "$bin" /tmp/clone/build/release/bin
cd /tmp/clone
source "$root/tests/support/documents.bash"
apt-get() { :; } # it is all there
follow "$root/docs/labs/08-alarms.md"
for reading in 35 41; do
    grep -q "^ALARM: sensor8 has $reading degrees" /tmp/out || { echo "nobody was told of $reading degrees" >&2; exit 1; }
done
! grep -q "has 2[12] degrees" /tmp/out || { echo "somebody was told of nothing" >&2; exit 1; }
grep -q 'temperature > 30 is false' /tmp/out || { echo "no route was explained" >&2; exit 1; }
echo "lab: all lines worked" >&2
