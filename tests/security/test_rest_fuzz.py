"""Every resource under what its own OpenAPI document allows and what it does not, from a user and from nobody."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.security.world import World, make_world
from tests.support.app import Person, Server, running_server
from tests.support.core_2026 import newcomer

REQUEST_LINE = 8000  # bytes: about what a request line may have
EXAMPLES = 2  # of each operation, mode and actor: in each run of the tests the same
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ENDLESS = "/api/events/stream"  # asked with HEAD, since its answer does not end
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@pytest.fixture
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    sqlite = f"sqlite:///{tmp_path}/fuzz.sqlite3"
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else sqlite
    async with running_server(database_url=url) as running:
        yield running


@pytest.mark.parametrize(
    ("server", "actor"), [("sqlite", "user"), ("postgres", "user"), ("sqlite", "nobody")], indirect=["server"]
)
async def test_no_request_makes_the_server_fail(server: Server, actor: str) -> None:
    """REST: generated requests, valid and invalid, on every resource."""
    ann = await newcomer(server, "Ann")
    world = await make_world(ann)
    document = (await server.request("GET", "/api/schema.json")).body
    await asyncio.to_thread(fuzz, document, ann, world, actor)
    assert (await server.request("GET", "/readyz")).status == 200


def fuzz(document: Any, ann: Person, world: World, actor: str) -> None:
    """Asks every operation, those that delete last."""
    schema = schemathesis.openapi.from_dict(document)
    operations = [found.ok() for found in schema.get_all_operations()]
    with requests.Session() as session:
        session.headers["Authorization"] = f"JWT {ann.token}"
        for operation in sorted(operations, key=is_destructive):
            ask(operation, ann.server.url, session if actor == "user" else requests, world)


def ask(operation: APIOperation, url: str, client: Any, world: World) -> None:
    """Some requests of one kind; a failure names the smallest that shows it, as a curl command."""

    @settings(
        max_examples=2 * EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of([operation.as_strategy(mode) for mode in MODES]), real=st.booleans())
    def requests_of_one_kind(case: Case, real: bool) -> None:
        if real:
            aim(case, world)
        if operation.path == ENDLESS:
            case.method = "HEAD"
        headers = None if client is requests else dict(client.headers)
        response = case.call(base_url=url, session=None if client is requests else client, headers=headers)
        if len(response.request.url or "") > REQUEST_LINE and response.status_code == 400:
            return  # HTTP itself refused it, before any resource could
        case.validate_response(response, checks=CHECKS[:2] if case.method == "HEAD" else CHECKS)

    requests_of_one_kind()


def is_destructive(operation: APIOperation) -> tuple[bool, bool]:
    """What deletes comes last, and what deletes everything last of all."""
    return operation.method == "delete", operation.path == "/api/workspaces/{workspace_id}/"


def aim(case: Case, world: World) -> None:
    """Lets a request mean things that exist."""
    if case.path.startswith("/api/1/ce/"):
        case.query = {**(case.query or {}), "key": world["key"]}
    for place in (case.path_parameters, case.query, case.body):
        if isinstance(place, dict):
            place.update({name: world[name] for name in place if name in world})
