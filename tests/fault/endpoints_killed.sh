#!/usr/bin/env bash
# The hub is killed with -9 while messages go to custom endpoints, a webhook, a folder, a container of its own, Mosquitto, PostgreSQL and a mail server:
# whatever it acknowledged arrives at each, in order, and in the table once. The Avro files are read by fastavro, the mail server is aiosmtpd; where PyPI cannot be reached, both are left out.
source "$(dirname "$0")/support.bash"
kills=${KILLS:-5}
make_hub
python=python3 mail=
if ! python3 -c 'import fastavro, aiosmtpd' 2>/dev/null && python3 -m venv "$dir/venv"; then
    python=$dir/venv/bin/python
    $python -m pip install --quiet --disable-pip-version-check fastavro==1.13.1 aiosmtpd==1.4.6 2>/dev/null || true
fi
if $python -c 'import fastavro, aiosmtpd' 2>/dev/null; then
    mail=', "mail"'
    cat >>"$dir/hub/hub.toml" <<TOML
[[hub.endpoint]]
name = "mail"
type = "mail"
to = "smtp://hub:a%20secret@$hub:2525"
ca = "ca.pem"
from = "hub@plant.example"
recipients = ["shift@plant.example", "nobody@plant.example"]
subject = "{room} {body}"
text = "{body}"
batch_wait = "500ms"
mails_per_minute = 60
TOML
fi
cat >>"$dir/hub/hub.toml" <<TOML
[[hub.endpoint]]
name = "hook"
type = "webhook"
to = "http://127.0.0.24:8099/events"
[[hub.endpoint]]
name = "lake"
type = "folder"
to = "$dir/hub/lake"
file_time = "2s"
[[hub.endpoint]]
name = "container"
type = "storage"
to = "telemetry"
encoding = "AvroDeflate"
file_time = "2s"
[[hub.endpoint]]
name = "table"
type = "postgresql"
to = "postgresql://skerry:a%20secret@$hub:5499/postgres"
ca = "ca.pem"
table = "plant.telemetry"
batch_wait = "300ms"
[[hub.endpoint]]
name = "strict"
type = "postgresql"
to = "postgresql://skerry:a%20secret@$hub:5499/postgres"
ca = "ca.pem"
table = "plant.strict"
batch_wait = "300ms"
columns = ["key=sequence", "name=device", "body"]
[[hub.endpoint]]
name = "broker"
type = "mqtt"
to = "mqtt://127.0.0.24:1899"
topic = "up/{device}"
[[hub.route]]
name = "all"
endpoint = ["hook", "lake", "container", "table", "strict", "broker"$mail]
[[hub.enrichment]]
key = "room"
value = "Åsgård"
TOML
cat >"$dir/hook.py" <<'PYTHON'
import http.server, json, random, sys
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        batch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = random.choice([200, 200, 500])
        if status == 200:
            with open(sys.argv[1], "a") as file:
                for message in batch:
                    file.write(f"{message['body']}\n")
        self.send_response(status)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.24", 8099), Hook).serve_forever()
PYTHON
touch "$dir/hooked"
python3 "$dir/hook.py" "$dir/hooked" &
other_pids=$!
printf 'listener 1899 127.0.0.24\nallow_anonymous true\nmax_queued_messages 0\n' >"$dir/mosquitto.conf"
mosquitto -c "$dir/mosquitto.conf" 2>"$dir/mosquitto.log" &
other_pids="$other_pids $!"
until_true eval "(echo >/dev/tcp/127.0.0.24/1899) 2>/dev/null"
mosquitto_sub -h 127.0.0.24 -p 1899 -t up/d1 -q 1 -i reader -c >"$dir/published" &
other_pids="$other_pids $!"
cat >"$dir/mail.py" <<'PYTHON'
import asyncio, email, email.policy, random, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult
folder, host = sys.argv[1:]
class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 who?"
        envelope.rcpt_tos.append(address)
        return "250 fine"
    async def handle_DATA(self, server, session, envelope):
        if random.random() < 0.3:
            return "451 4.3.0 later"
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        lines = mail.get_content().split()
        assert envelope.rcpt_tos == ["shift@plant.example"]
        assert mail["Subject"] == f"Åsgård {lines[0]}" + (f" (+{len(lines) - 1})" if len(lines) > 1 else ""), mail["Subject"]
        with open(f"{folder}/mailed", "a") as file:
            file.writelines(f"{line}\n" for line in lines)
        return "250 taken"
def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"hub", b"a secret"))
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(f"{folder}/hub/server.pem", f"{folder}/hub/server.key")
loop = asyncio.new_event_loop()
loop.run_until_complete(loop.create_server(
    lambda: SMTP(Handler(), tls_context=tls, require_starttls=True, auth_required=True, authenticator=authenticate, loop=loop), host, 2525))
loop.run_until_complete(loop.create_server(
    lambda: SMTP(Handler(), auth_require_tls=False, auth_required=True, authenticator=authenticate, loop=loop), host, 4650, ssl=tls))
loop.run_forever()
PYTHON
touch "$dir/mailed"
if [ -n "$mail" ]; then
    $python "$dir/mail.py" "$dir" $hub 2>"$dir/mail.log" &
    other_pids="$other_pids $!"
fi
postgres=$(echo /usr/lib/postgresql/*/bin)
install -d -o postgres "$dir/pg"
sql() { su postgres -s /bin/bash -c "psql -qAt -h '$dir/pg' -p 5499 -c \"$1\""; }
su postgres -s /bin/bash -c "cd /; $postgres/initdb -D '$dir/pg/data' -A trust >/dev/null"
install -o postgres -m 600 "$dir/hub/server.pem" "$dir/hub/server.key" "$dir/pg/data/"
echo 'hostssl all all all scram-sha-256' >"$dir/pg/data/pg_hba.conf"
echo 'local all postgres trust' >>"$dir/pg/data/pg_hba.conf"
su postgres -s /bin/bash -c "cd /; exec $postgres/postgres -D '$dir/pg/data' -h $hub -p 5499 -k '$dir/pg' -c ssl=on -c ssl_cert_file=server.pem \
    -c ssl_key_file=server.key -c fsync=off" 2>"$dir/pg.log" &
other_pids="$other_pids $!"
until_true eval "sql 'SELECT 1' >/dev/null 2>&1"
sql "CREATE ROLE skerry LOGIN PASSWORD 'a secret'; CREATE SCHEMA plant AUTHORIZATION skerry;
    CREATE TABLE plant.strict (key bigint PRIMARY KEY, name integer, body jsonb); ALTER TABLE plant.strict OWNER TO skerry"
start_hub
wait_for $hub_ready
"$bin/skerry" device add d1 >/dev/null
sent=0
for kill in $(seq "$kills"); do
    for _ in 1 2 3 4 5 6; do
        "$bin/skerry" telemetry send d1 "$sent" >/dev/null && sent=$((sent + 1))
    done
    kill_hard "$hub_pid"
    [ "$kill" = 3 ] && sed -i 's#smtp://\(.*\):2525#smtps://\1:4650#' "$dir/hub/hub.toml" # TLS from the first byte, from here on
    start_hub
    wait_for $hub_ready
done
"$bin/skerry" telemetry send d1 "$sent" >/dev/null && sent=$((sent + 1)) # since this start something is sent, so health is known
in_order() { # in_order FILE: numbers; the first of each is in order and none is missing
    awk -v wanted="$sent" '$1 > next_one { exit 1 } $1 == next_one { next_one++ } END { exit next_one != wanted }' "$1"
}
expect "all that was acknowledged came to the webhook in order" "$(until_true in_order "$dir/hooked" && echo yes)" yes
if [ -n "$mail" ]; then
    cat >"$dir/lake.py" <<'PYTHON'
import fastavro, pathlib, sys
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.avro"), key=lambda path: path.stat().st_mtime_ns):
    with open(path, "rb") as file:
        for record in fastavro.reader(file):
            assert record["SystemProperties"]["connectionDeviceId"] == "d1"
            assert record["Properties"] == {"room": "Åsgård"}
            print(int(record["Body"]))
PYTHON
    lake() { $python "$dir/lake.py" "$1" >"$dir/laked" && in_order "$dir/laked"; }
    container() { # its files; their names are in the order of their times
        rm -rf "$dir/container"
        mkdir "$dir/container"
        local name
        "$bin/skerry" file list --container telemetry --output jsonl | jq -r .name | sort | while read -r name; do
            "$bin/skerry" file get "$name" --container telemetry >"$dir/container/$(tr / - <<<"$name")"
        done
        lake "$dir/container"
    }
    expect "and to the folder's files" "$(until_true lake "$dir/hub/lake" && echo yes)" yes
    expect "and to the container's" "$(until_true container && echo yes)" yes
    expect "and to the mail server" "$(until_true in_order "$dir/mailed" && echo yes)" yes
else
    echo "fastavro and aiosmtpd cannot be had: no file is looked at, and no mail"
fi
sql "SELECT body FROM plant.telemetry ORDER BY sequence" >"$dir/rows"
tabled() { sql "SELECT body FROM plant.telemetry WHERE properties->>'room' = 'Åsgård' ORDER BY sequence" >"$dir/rows" && seq 0 $((sent - 1)) | cmp -s "$dir/rows" -; }
expect "and once to the table" "$(until_true tabled && echo yes)" yes
strict() { [ "$("$bin/skerry" endpoint show strict --output json | jq .deadLetters)" -gt 0 ]; }
expect "what a column cannot hold is among the dead letters" "$(until_true strict && echo yes)" yes
expect "and to the broker" "$(until_true in_order "$dir/published" && echo yes)" yes
expect "the webhook is healthy" "$(until_true eval "\"$bin/skerry\" endpoint show hook --output json | grep -q '\"healthStatus\": \"healthy\"'" && echo yes)" yes
[ $failed = 0 ] && echo "$sent messages over $kills kills arrived at all endpoints"
exit $failed
