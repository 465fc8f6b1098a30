"""The OpenAPI document says what is served: every route, every class of body, every parameter that is read."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from server.rest.openapi import METHODS, PATH
from server.rest.schemas import Body
from tests.support.app import Server, running_server

REST = Path(__file__).parents[2] / "server" / "rest"
READ = re.compile(r"""(?:query\.get(?:all)?\(|(?:flag|is_true|whole_number)\(request, )"(\w+)\"""")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running_server(database_url=f"sqlite:///{tmp_path}/openapi.sqlite3") as running:
        yield running


@pytest.fixture
async def document(server: Server) -> Any:
    answer = await server.request("GET", PATH)
    assert answer.status == 200
    return answer.body


def operations(document: Any) -> dict[tuple[str, str], Any]:
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def served(app: web.Application) -> set[tuple[str, str]]:
    """What the router sends to the resources."""
    return {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource and route.handler.__module__.startswith("server.rest.") and route.method in METHODS
    }


async def test_every_route_is_described(server: Server, document: Any) -> None:
    assert served(server.app) == {*operations(document), ("GET", PATH)}
    names = [operation["operationId"] for operation in operations(document).values()]
    assert len(set(names)) == len(names), "client generators make one function of each"


async def test_every_class_of_body_is_described(document: Any) -> None:
    parameters = {each["name"] for operation in operations(document).values() for each in operation["parameters"]}
    for model in subclasses(Body):
        if model.__module__.startswith("server.rest.") and model.model_fields:
            is_body = model.__name__ in document["components"]["schemas"]
            assert is_body or model.model_fields.keys() <= parameters, model


def subclasses(model: type[Body]) -> list[type[Body]]:
    return [each for child in model.__subclasses__() for each in (child, *subclasses(child))]


async def test_every_parameter_that_is_read_is_described(document: Any) -> None:
    described = {each["name"] for operation in operations(document).values() for each in operation["parameters"]}
    read = {name for file in REST.glob("*.py") for name in READ.findall(file.read_text())}
    assert read - described == {"key"}, "the key of a project is a security scheme"


async def test_what_a_client_generator_needs(document: Any) -> None:
    """One operation in full: parameters, body, security, answers and the shape of errors."""
    found = operations(document)["POST", "/api/database/rows/table/{table_id}/batch/"]
    assert {(each["name"], each["in"], each["schema"]["type"]) for each in found["parameters"]} == {
        ("table_id", "path", "integer"),
        ("before", "query", "integer"),
        ("user_field_names", "query", "boolean"),
        ("include_metadata", "query", "boolean"),
        ("WebSocketId", "header", "string"),
    }
    body = document["components"]["schemas"]["NewRows"]
    assert body["required"] == ["items"] and body["properties"]["items"]["items"]["type"] == "object"
    assert found["requestBody"]["required"] and found["security"] == [{"accessToken": []}]
    assert list(found["responses"]) == ["200", "400", "401", "404", "413", "415", "default"]
    problem = found["responses"]["400"]["content"]["application/json"]["schema"]
    assert problem == {"$ref": "#/components/schemas/DatabaseError"}


async def test_a_body_that_is_an_array_is_described_as_one(document: Any) -> None:
    body = operations(document)["PUT", "/items/{item_id}/values"]["requestBody"]
    reference = {"$ref": "#/components/schemas/NewValue"}
    assert body["content"]["application/json"]["schema"] == {"type": "array", "items": reference}
    assert body["required"] is True


@pytest.mark.parametrize(
    ("method", "path", "security"),
    [
        ("GET", "/api/workspaces/", ["accessToken"]),
        ("GET", "/items", ["accessToken", "accessCookie"]),
        (
            "GET",
            "/api/1/ce/{name}",
            ["projectKey", "projectKey recordUserToken", "projectKey recordUserCookie", "projectKey masterKey"],
        ),
        ("POST", "/api/user/token-auth/", []),
    ],
)
async def test_who_may_ask_is_described(document: Any, method: str, path: str, security: list[str]) -> None:
    assert [" ".join(each) for each in operations(document)[method, path]["security"]] == security
