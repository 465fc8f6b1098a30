"""Webhooks of the items API (contract items.md); docs/protocols/webhooks.md says what receivers get."""

from typing import Annotated

from aiohttp import hdrs, web
from pydantic import Field

from server.actions import webhooks
from server.destinations import MAX_URL, Destinations, NotAllowed
from server.rest.context import no_content, respond
from server.rest.items_context import act, look, read_body, read_query
from server.rest.schema_types import Char, Choice
from server.rest.schemas import Body, InvalidBody, ListOf, Query

routes = web.RouteTableDef()
DESTINATIONS = web.AppKey("destinations", Destinations)
LOOKUP_TIMEOUT = 5.0  # seconds
MAX_EVENTS = 100  # named, some of them twice


class NewWebhook(Body):
    workspace_id: Annotated[str, Char()]
    url: Annotated[str, Char(max_length=MAX_URL)]
    events: Annotated[list[str], ListOf(Choice(webhooks.EVENTS), min_length=1, max_length=MAX_EVENTS)] = Field(
        default_factory=lambda: list(webhooks.EVENTS)
    )


class WebhooksOfUrl(Query):
    workspace_id: Annotated[str, Char()]
    url: Annotated[str, Char(max_length=MAX_URL)]


@routes.get("/webhooks")
async def list_webhooks(request: web.Request) -> web.Response:
    return respond(await look(request, webhooks.list_webhooks, workspace_id=request.query.get("workspace_id")))


@routes.post("/webhooks")
async def create_webhook(request: web.Request) -> web.Response:
    """Makes a webhook; its URL is looked up first, for admins only. No other answer shows its secret."""
    body = await read_body(request, NewWebhook)
    await look(request, webhooks.check_admin, workspace_id=body.workspace_id)
    try:
        await request.app[DESTINATIONS].check(body.url, timeout=LOOKUP_TIMEOUT)
    except NotAllowed as refusal:
        raise InvalidBody.of("url", str(refusal), "invalid") from None
    made = await act(request, webhooks.create_webhook, workspace_id=body.workspace_id, url=body.url, events=body.events)
    answer = respond(made, 201)
    answer.headers[hdrs.CACHE_CONTROL] = "no-store"
    return answer


@routes.delete("/webhooks")
async def delete_webhooks(request: web.Request) -> web.Response:
    """Ends the webhooks of a workspace that have a URL."""
    asked = read_query(request, WebhooksOfUrl)
    await act(request, webhooks.delete_webhooks, workspace_id=asked.workspace_id, url=asked.url)
    return no_content()


@routes.delete("/webhooks/{webhook_id}")
async def delete_webhook(request: web.Request) -> web.Response:
    await act(request, webhooks.delete_webhook, webhook_id=request.match_info["webhook_id"])
    return no_content()
