#!/usr/bin/env bash
# Does what docs/labs/08-alarms.md tells its reader, line by line, in a network and a /tmp of its own, and looks whether it came about. Needs root.
set -euo pipefail
source "$(dirname "$0")/../support/documents.bash"
if ! is_alone; then
    # shellcheck disable=SC1091
    source "$(dirname "$0")/../../script/common.sh"
    need rabbitmq-server python3-qpid-proton curl
fi
alone "$1"
apt-get() { :; } # it is all there
follow "$root/docs/labs/08-alarms.md"
for reading in 35 41; do
    grep -q "^ALARM: sensor8 has $reading degrees" /tmp/out || { echo "nobody was told of $reading degrees" >&2; exit 1; }
done
! grep -q "has 2[12] degrees" /tmp/out || { echo "somebody was told of nothing" >&2; exit 1; }
grep -q 'temperature > 30 is false' /tmp/out || { echo "no route was explained" >&2; exit 1; }
echo "lab: all lines worked" >&2
