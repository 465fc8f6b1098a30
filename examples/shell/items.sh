#!/bin/sh
# items.sh WORKSPACE [NAME]: follows the board of a workspace of the server ROOMCAST as EMAIL with PASSWORD, and makes
# an item with this name. Needs curl.

server=${ROOMCAST:-http://127.0.0.1:8000} workspace=$1 name=$2
cursor=$(mktemp) # keeps the position up to which everything was told
trap 'rm -f "$cursor" "$cursor.head"' EXIT

log_in() {
  answer=$(curl -sSf -H 'Content-Type: application/json' -d "{\"email\": \"$EMAIL\", \"password\": \"$PASSWORD\"}" \
    "$server/api/user/token-auth/") || return
  token=${answer#*'"access_token":"'}
  token=${token%%'"'*}
  authorization="Authorization: Bearer $token"
}

# The columns, as JSON, at the position Stream-Offset; what happened above that is told as events.
read_board() {
  board=$(curl -sSf -D "$cursor.head" -H "$authorization" "$server/workspaces/$workspace?include=workflows") || return
  tr -d '\r' <"$cursor.head" | sed -n 's/^[Ss]tream-[Oo]ffset: //p' >"$cursor"
  echo "$board"
  echo following
}

# Of this change too we are told as an event.
add_item() {
  column=${board#*'"columns":[{"id":"'}
  column=${column%%'"'*}
  curl -sSf -o "$cursor.head" -H "$authorization" -H 'Content-Type: application/json' \
    -d "{\"column_id\": \"$column\", \"name\": \"$1\"}" "$server/items"
}

log_in && read_board || exit
[ -z "$name" ] || add_item "$name" || exit
while :; do
  curl -sSN -H "$authorization" -H "Last-Event-ID: $(cat "$cursor")" -w '\nstatus: %{http_code}\n' \
    "$server/api/events/stream?room=items:$workspace" |
    while read -r field value; do
      case $field in
        id:) id=$value ;;
        event:) event=$value ;;
        data:)
          echo "$event $value"
          [ "$event" != refresh ] || { read_board && break; } # that past is gone
          ;;
        '') [ -z "$id" ] || echo "$id" >"$cursor" ;; # the event is complete
        status:) case $value in 4*) echo "refused: $value" && exit 1 ;; esac ;;
      esac
    done || exit
  sleep 2
  log_in # the stream may have ended with its token
done
