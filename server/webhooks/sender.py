"""One request to one receiver, signed (docs/protocols/webhooks.md).

Invariants: only `Destinations` opens connections, so no private address is ever called; there are no redirects, no
proxies of the environment, no cookies, and nothing of an answer is kept but its status.
"""

import hashlib
import hmac
import io
import time
from asyncio import timeout as time_limit

from aiohttp import ClientConnectorError, ClientError, ClientResponse, ClientSession, DummyCookieJar, hdrs
from yarl import URL

from server.destinations import Destinations, NotAllowed
from server.store.models import Webhook
from server.webhooks.queue import Delivery

MAX_ANSWER = 64 << 10  # bytes that are read, so that the connection can be used again; a longer answer ends it
MAX_REASON = 300  # characters
HEADERS = {
    hdrs.CONTENT_TYPE: "application/json",
    hdrs.USER_AGENT: "Roomcast-Webhooks",
    hdrs.ACCEPT: "*/*",
    hdrs.ACCEPT_ENCODING: "identity",
}


def sign(secret: str, at: int, delivery: Delivery) -> str:
    """The value of `Roomcast-Signature`: when it was made (seconds), and the HMAC-SHA256 of that time, key, event and
    body, in hexadecimal digits."""
    signed = f"{at}.{delivery.key}.{delivery.event}.".encode() + delivery.body
    return f"t={at},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


class Sender:
    """Makes the requests of one process; `timeout` in seconds is for the whole of each, the look-up of the host too."""

    def __init__(self, destinations: Destinations, timeout: float) -> None:
        self.destinations = destinations
        self.timeout = timeout
        self._session: ClientSession | None = None

    def start(self) -> None:
        """Opens what requests go through, in the running event loop."""
        self._session = ClientSession(
            connector=self.destinations.connector(),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers=HEADERS,
        )

    async def close(self) -> None:
        """Closes all connections."""
        if self._session is not None:
            await self._session.close()
        await self.destinations.close()

    async def post(self, webhook: Webhook, delivery: Delivery) -> str:
        """Makes a delivery; returns why it failed, empty for an answer with a status of 2xx."""
        status = 0
        try:
            async with time_limit(self.timeout), await self._request(webhook, delivery) as answer:
                status = answer.status
                await drop_body(answer)
        except (ClientError, OSError, TimeoutError, ValueError) as error:
            if not status:
                return self._describe(error)
        return "" if 200 <= status < 300 else f"The answer had the status {status}."

    async def _request(self, webhook: Webhook, delivery: Delivery) -> ClientResponse:
        assert self._session is not None
        headers = {
            "Idempotency-Key": delivery.key,
            "Roomcast-Event": delivery.event,
            "Roomcast-Webhook": webhook.id,
            "Roomcast-Signature": sign(webhook.secret, int(time.time()), delivery),
        }
        body = io.BytesIO(delivery.body)  # leaves in parts, however large it is
        return await self._session.post(URL(webhook.url), data=body, headers=headers, allow_redirects=False)

    def _describe(self, error: Exception) -> str:
        """Why there was no answer, for those who administer the workspace."""
        if isinstance(error, TimeoutError):
            return f"There was no answer within {self.timeout:g} s."
        if not isinstance(error, ClientConnectorError):
            return "The connection ended without an answer in HTTP."
        text = str(error.__cause__ if isinstance(error.__cause__, NotAllowed) else error)[:MAX_REASON]
        return "".join(letter if letter.isprintable() else " " for letter in text)  # certificates are strangers' too


async def drop_body(answer: ClientResponse) -> None:
    """Reads the body of an answer and keeps nothing; ends the connection of one that is too long."""
    size = 0
    async for part in answer.content.iter_any():
        if (size := size + len(part)) > MAX_ANSWER:
            answer.close()
            return
