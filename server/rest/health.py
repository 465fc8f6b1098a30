"""Whether the server lives and is ready, and the public settings."""

import asyncio

from aiohttp import web

from server.errors import Unavailable
from server.rest.context import OPTIONS, READINESS, RUNNER, respond

routes = web.RouteTableDef()
PATIENCE = 2.0  # seconds a database gets to answer: probes give up after a few


@routes.get("/api/_health/")
async def health(request: web.Request) -> web.Response:
    """The original's liveness check."""
    return web.Response(text="OK", content_type="text/html", charset="utf-8")


@routes.get("/healthz")
async def alive(request: web.Request) -> web.Response:
    """200 while the event loop turns."""
    return respond({"status": "ok"})


@routes.get("/readyz")
async def ready(request: web.Request) -> web.Response:
    """200 while the server takes traffic and its database answers; else 503 naming what is missing."""
    checks = request.app[READINESS].checks()
    try:
        async with asyncio.timeout(PATIENCE):
            await request.app[RUNNER].store.read(lambda tx: tx.position())
        checks["database"] = True
    except (Unavailable, TimeoutError):
        checks["database"] = False
    return respond({"ready": all(checks.values()), "checks": checks}, 200 if all(checks.values()) else 503)


@routes.get("/api/settings/")
async def settings(request: web.Request) -> web.Response:
    """What clients read before anybody has logged in (contract database.md and database-web-client.md)."""
    return respond(
        {
            "allow_new_signups": request.app[OPTIONS].allow_signups,
            "allow_signups_via_workspace_invitations": True,
            "allow_reset_password": False,
            "allow_global_workspace_creation": True,
            "account_deletion_grace_delay": 30,
            "show_admin_signup_page": False,
            "track_workspace_usage": False,
            "show_baserow_help_request": True,
            "co_branding_logo": None,
            "email_verification": "no_verification",
            "verify_import_signature": True,
            "instance_wide_licenses": {},
        }
    )


@routes.get("/api/auth-provider/login-options/")
async def login_options(request: web.Request) -> web.Response:
    """The ways to log in."""
    return respond({"password": {"type": "password"}})
