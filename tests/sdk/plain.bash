# A person with mosquitto_pub, mosquitto_sub and curl: sourced by ./language, behind hub.bash.
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
