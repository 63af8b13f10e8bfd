# A person with mosquitto_pub, mosquitto_sub, curl and rclone: sourced by ./language, behind hub.bash.
host=$hub api=api-version=2021-04-12
expect() { # expect WHAT TEXT PART
    case $2 in
    *"$3"*) echo "ok    $1" ;;
    *)
        echo "FAIL  $1: expected $3, got $2"
        exit 1
        ;;
    esac
}
patiently() { # patiently COMMAND…: until it works, for twenty seconds
    for _ in $(seq 100); do
        "$@" && return
        sleep 0.2
    done
    echo "in vain: $*"
    return 1
}
device() { # device NAME: a new one; its token in $token
    "$bin/skerry" device add "$1" >/dev/null
    token=$("$bin/skerry" device sas "$1")
}
mqtt=(-h "$host" -p 8883 --cafile "$HUB_CA" -V mqttv311 -q 1)
login() { # login NAME
    who=("${mqtt[@]}" -i "$1" -u "$host/$1/?$api" -P "$token")
}
stored() { "$bin/skerry" events watch --from earliest --device "$1" --count "$2" --output jsonl; }

device pub
login pub
mosquitto_pub "${who[@]}" -t 'devices/pub/messages/events/a=b&%24.mid=m1&%24.ct=application%2Fjson&%24.ce=utf-8' -m '{"t":21.1}'
expect "mosquitto_pub: telemetry with properties" "$(stored pub 1)" '"body":{"t":21.1}'
expect "mosquitto_pub: system properties" "$(stored pub 1)" m1

device sub
login sub
mosquitto_sub "${who[@]}" -t 'devices/+/messages/devicebound/#' -C 1 -W 30 >"$dir/heard" &
pids+=($!)
"$bin/skerry" message send sub 'good morning' >/dev/null
patiently grep -q 'good morning' "$dir/heard"
expect "mosquitto_sub: a message by a filter with +" "$(cat "$dir/heard")" 'good morning'

mosquitto_sub "${who[@]}" -t '$iothub/methods/POST/#' -C 1 -W 30 -F '%t %p' >"$dir/called" &
pids+=($!)
sleep 1
"$bin/skerry" method call sub 'component*reset' --payload '{"n":21.1}' --timeout 5 >/dev/null 2>&1 || true # nobody answers
expect "mosquitto_sub: a method's topic and payload" "$(cat "$dir/called")" '$iothub/methods/POST/component*reset/?$rid='
expect "mosquitto_sub: numbers are as they were" "$(cat "$dir/called")" '{"n":21.1}'

if mosquitto_pub "${mqtt[@]}" -i pub -u "$host/pub/?$api" -P wrong -t devices/pub/messages/events/ -m x 2>"$dir/refused"; then
    echo "FAIL  a wrong password was taken"
    exit 1
fi
echo "ok    mosquitto_pub: a wrong password is refused"

ask() { curl -sS --cacert "$HUB_CA" "$@"; }
device web
auth=(-H "Authorization: $token")
expect "curl: telemetry" "$(ask "${auth[@]}" -o /dev/null -w '%{http_code}' -d '{"web":1}' -H 'iothub-app-a: b' \
    "https://$host/devices/web/messages/events?$api")" 204
expect "curl: it is stored" "$(stored web 1)" '"a":"b"'
"$bin/skerry" message send web 'to the web' >/dev/null
answer=$(ask "${auth[@]}" -D "$dir/headers" "https://$host/devices/web/messages/devicebound?$api")
expect "curl: a message" "$answer" 'to the web'
lock=$(tr -d '\r' <"$dir/headers" | sed -n 's/^etag: *"\(.*\)"$/\1/Ip')
expect "curl: and its completion" "$(ask "${auth[@]}" -X DELETE -o /dev/null -w '%{http_code}' \
    "https://$host/devices/web/messages/devicebound/$lock?$api")" 204
expect "curl: nothing more" "$(ask "${auth[@]}" -o /dev/null -w '%{http_code}' "https://$host/devices/web/messages/devicebound?$api")" 204
expect "curl: no token" "$(ask -o /dev/null -w '%{http_code}' "https://$host/devices?$api")" 401
expect "curl: another's device" "$(ask "${auth[@]}" -o /dev/null -w '%{http_code}' "https://$host/devices/pub/messages/devicebound?$api")" 401

# rclone by a signature of the container: the hub's name is an address here, and no account can stand before it.
sas() { # sas CONTAINER: the query that opens it
    local name key text until
    name=$(sed -n 's/.*SharedAccessKeyName=\([^;]*\).*/\1/p' <<<"$HUB_CS")
    key=$(sed 's/.*SharedAccessKey=//' <<<"$HUB_CS" | base64 -d | od -An -v -tx1 | tr -d ' \n')
    until=$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)
    text="racwdl\n\n$until\n/blob/$name/$1\n\n\n\n2019-12-12\nc\n\n\n\n\n\n"
    printf '%s' "https://$host/$name/$1?sv=2019-12-12&sr=c&sp=racwdl&se=${until//:/%3A}&sig="
    printf '%b' "$text" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64 | jq -sRr 'rtrimstr("\n") | @uri'
}
export RCLONE_CONFIG="$dir/rclone.conf" RCLONE_CA_CERT=$HUB_CA RCLONE_RETRIES=1
printf '[hub]\ntype = azureblob\nsas_url = %s\n' "$(sas uploads)" >"$RCLONE_CONFIG"
mkdir -p "$dir/files/sub"
date >"$dir/files/sub/ä b+c%.txt"
head -c 9000000 /dev/urandom >"$dir/files/in blocks"
touch -d 2020-01-02T03:04:05Z "$dir/files/sub/ä b+c%.txt"
timeout 60 rclone sync "$dir/files" hub:uploads/rclone
expect "rclone: what is there is as here" "$(timeout 60 rclone check "$dir/files" hub:uploads/rclone 2>&1)" '2 matching files'
expect "rclone: times are kept" "$(TZ=UTC timeout 60 rclone lsl hub:uploads/rclone)" '2020-01-02 03:04:05'
expect "rclone: nothing to do" "$(timeout 60 rclone sync -v "$dir/files" hub:uploads/rclone 2>&1)" 'Transferred:   	          0 B / 0 B'
touch "$dir/files/in blocks"
expect "rclone: only a time" "$(timeout 60 rclone sync -v "$dir/files" hub:uploads/rclone 2>&1)" 'Updated modification time'
timeout 60 rclone delete hub:uploads/rclone
expect "rclone: all gone" "$(timeout 60 rclone size hub:uploads/rclone)" 'Total objects: 0'
