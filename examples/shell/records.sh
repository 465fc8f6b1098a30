#!/bin/sh
# records.sh shop/orders KEY [JSON]: follows the records of an endpoint of the server ROOMCAST, and stores a record with
# these data. Needs curl and websocat.

url="${ROOMCAST:-http://127.0.0.1:8000}/api/1/ce/$1?key=$2"
cursor=$(mktemp) # keeps the position up to which everything was told
trap 'rm -f "$cursor" "$cursor.head"' EXIT

# All records, as JSON, at the position Stream-Offset; what happened above that is told as messages.
read_records() {
  curl -sSf -D "$cursor.head" "$url" || return
  tr -d '\r' <"$cursor.head" | sed -n 's/^[Ss]tream-[Oo]ffset: //p' >"$cursor"
  echo
  echo following
}

# Of this change too we are told as a message.
store() { curl -sSf -o "$cursor.head" -H 'Content-Type: application/json' -d "$1" "$url"; }

read_records || exit
[ -z "$3" ] || store "$3" || exit
while :; do
  websocat --no-close "ws${url#http}&offsets=true&since=$(cat "$cursor")" </dev/null |
    while read -r message; do
      case $message in
        '{"type":"refresh"'*) read_records && break ;; # that past is gone
        *) echo "$message" && offset=${message##*'"offset":'} && echo "${offset%?}" >"$cursor" ;;
      esac
    done
  sleep 1
  case $(curl -sS -o "$cursor.head" -w '%{http_code}' "$url&limit=0") in
    4*) cat "$cursor.head" && exit 1 ;; # refused; the socket would say the same
  esac
done
