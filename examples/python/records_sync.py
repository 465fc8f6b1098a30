"""python records_sync.py shop/orders KEY [JSON]: follows the records of an endpoint of the server ROOMCAST, without
asyncio, and stores a record with these data.

pip install wsproto
"""

import json
import os
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from wsproto import ConnectionType, WSConnection, events
from wsproto.utilities import RemoteProtocolError

SERVER = os.environ.get("ROOMCAST", "http://127.0.0.1:8000")
REFUSED = 4000  # the reason says what is wrong: name, key, origin or token
RETRY = 1  # seconds
SILENCE = 60  # seconds without a ping (there is one every 25) until the connection is given up


def follow(url: str, key: str, *data: str) -> None:
    """Prints the records, then every change, across connections; stores new ones."""
    since: str | None = None  # the position up to which everything is known
    new = [*data]
    while True:
        try:
            since = since or read(url, key)
            while new:
                store(url, key, new.pop())
            query = urlencode({"key": key, "since": since, "offsets": "true"})
            for message in messages(f"{url}?{query}"):
                since = message.get("offset")  # none with `refresh`: that past is gone, so read anew
                if since is None:
                    break
                records = message["record"]
                for record in records if isinstance(records, list) else [records]:  # an upload has several
                    print(message["type"], json.dumps(record["data"]), flush=True)
        except (OSError, HTTPException, RemoteProtocolError) as error:
            if isinstance(error, HTTPError) and error.code < 500:
                sys.exit(error.read().decode())  # refused
            print(f"trying again: {error or type(error).__name__}", flush=True)
        time.sleep(RETRY)


def read(url: str, key: str) -> str:
    """All records at the position `Stream-Offset`, which is returned; what happened above that is told as messages."""
    with urlopen(f"{url}?{urlencode({'key': key})}") as response:
        for record in json.load(response):
            print("record", json.dumps(record["data"]), flush=True)
    print("following", flush=True)
    position: str = response.headers["Stream-Offset"]
    return position


def store(url: str, key: str, data: str) -> None:
    """Makes a record; of this change too we are told as a message."""
    headers = {"Content-Type": "application/json"}
    urlopen(Request(f"{url}?{urlencode({'key': key})}", data.encode(), headers)).close()


def messages(url: str) -> Iterator[Any]:
    """The messages of a WebSocket at an address of http or https, until the connection ends."""
    parts, protocol, text = urlsplit(url), WSConnection(ConnectionType.CLIENT), ""
    with connect(parts.hostname or "", parts.port, parts.scheme == "https") as connection:
        connection.sendall(protocol.send(events.Request(host=parts.netloc, target=f"{parts.path}?{parts.query}")))
        while data := connection.recv(65536):
            protocol.receive_data(data)
            for event in protocol.events():
                match event:
                    case events.TextMessage():
                        text += event.data
                        if event.message_finished:
                            yield json.loads(text)
                            text = ""
                    case events.Ping():
                        connection.sendall(protocol.send(event.response()))
                    case events.CloseConnection(code=code, reason=reason):
                        connection.sendall(protocol.send(event.response()))
                        if code == REFUSED:
                            sys.exit(reason)


def connect(host: str, port: int | None, secure: bool) -> socket.socket:
    plain = socket.create_connection((host, port or (443 if secure else 80)), timeout=SILENCE)
    return ssl.create_default_context().wrap_socket(plain, server_hostname=host) if secure else plain


if __name__ == "__main__":
    name, *rest = sys.argv[1:]
    follow(f"{SERVER}/api/1/ce/{name}", *rest)
