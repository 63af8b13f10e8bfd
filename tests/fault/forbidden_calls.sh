#!/usr/bin/env bash
# Calls that a sandbox forbids, made in it: a server ends by them or does not get them, a module gets an error and goes on. Programs of other people run.
set -euo pipefail
bin=$(cd "$1" && pwd)
if [ "$(id -u)" != 0 ]; then
    echo "needs root, to whom the kernel would allow what the filters forbid"
    exit 77
fi
failed=0
as=() # a command that starts another as somebody
expect() { # expect SANDBOX WANTED DEED [ARGUMENT…]
    local got code=0
    got=$("${as[@]}" "$bin/fault-forbidden" "$1" "${@:3}" 2>/dev/null) || code=$?
    [ "$code" = 159 ] && got=SIGSYS # 128 and its number
    [ "$got" = "$2" ] && return
    echo "${*:3} in the sandbox for $1: ${got:-code $code} instead of $2"
    failed=1
}
for sandbox in server giver; do
    for deed in ptrace mount unshare; do expect $sandbox SIGSYS $deed; done
    expect $sandbox SIGSYS exec /bin/true
    expect $sandbox EPERM clone
    expect $sandbox EPERM fork
    for deed in unknown tolerated; do expect $sandbox ENOSYS $deed; done
done
for deed in ptrace mount unshare clone; do expect modules EPERM $deed; done
for deed in fork tolerated; do expect modules fine $deed; done
expect modules ENOSYS unknown
expect modules runs exec /bin/echo runs
# What it starts is in it too.
expect modules EPERM exec "$bin/fault-forbidden" none mount

# Programs of every kind run.
for program in node python3 java go; do
    command -v $program >/dev/null || continue
    case $program in
    node) expect modules 42 exec "$(command -v node)" -e 'new (require("worker_threads").Worker)("require(\"child_process\").execSync(\"/bin/true\"); console.log(42)", {eval: true})' ;;
    python3) expect modules 42 exec "$(command -v python3)" -c 'import subprocess, threading
t = threading.Thread(target=lambda: print(42 + subprocess.call("/bin/true"))); t.start(); t.join()' ;;
    java) expect modules "" exec "$(command -v java)" -version ;;
    go) expect modules "$(go version)" exec "$(command -v go)" version ;;
    esac
done
# The daemon gives sockets to others: it takes nothing.
file=$(mktemp)
trap 'rm -f "$file"' EXIT
expect server ENOSYS give "$file" 60600 60600
expect giver fine give "$file" 60600 60600
expect giver ENOSYS take "$file"
copy=$(mktemp -d) # where that user gets to
trap 'rm -rf "$file" "$copy"' EXIT
cp "$bin/fault-forbidden" "$copy"
chmod 755 "$copy"
bin=$copy
as=(setpriv --reuid 61172 --regid 61172 --clear-groups --inh-caps=-all,+chown --ambient-caps=-all,+chown)
expect none fine give "$file" 61172 61172 # so it is the filter that refuses
expect giver fine give "$file" 60601 60601
for numbers in "61172 60600" "0 60600" "-1 60600" "60600 61172" "60600 -1"; do expect giver EPERM give "$file" $numbers; done

[ $failed = 0 ] && echo "what is forbidden does not work"
exit $failed
