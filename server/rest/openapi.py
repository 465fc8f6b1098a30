"""The OpenAPI 3.1 document of all resources, made of the routes and of what their handlers read (`inputs`).

Answers to successful requests are not typed: the contracts in docs/contracts/ say what they hold.
"""

import asyncio
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from aiohttp import hdrs, web
from pydantic.json_schema import models_json_schema

from server.auth.visitors import COOKIE as RECORD_COOKIE
from server.encoding import encode
from server.rest import accounts, context, files, item_files, items_context, record_requests, uploads
from server.rest.failures import is_items, is_records
from server.rest.inputs import INTEGER, STRING, Inputs, Schema, inputs_of
from server.rest.items_context import COOKIE
from server.rest.schemas import Body

PATH = "/api/schema.json"
SEGMENT = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})+))?\}")
REFERENCE = "#/components/schemas/{model}"
METHODS = (hdrs.METH_GET, hdrs.METH_POST, hdrs.METH_PUT, hdrs.METH_PATCH, hdrs.METH_DELETE)
ANSWERS = {200: "The answer.", 201: "What was made.", 204: "Done; there is nothing to tell."}
REFUSALS = {400: "bad input", 401: "no valid token", 404: "no such thing", 413: "too large a body", 415: "not JSON"}
POSITION: Schema = {
    "description": "How far the log reaches that this answer knows; events above it follow.",
    "schema": INTEGER,
}
SECURITY: Schema = {
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "`Authorization: JWT …` and `Authorization: Bearer …` mean the same.",
    },
    "accessCookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    "projectKey": {"type": "apiKey", "in": "query", "name": "key"},
    "masterKey": {"type": "apiKey", "in": "header", "name": "X-Master-Key"},
    "recordUserToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "recordUserCookie": {"type": "apiKey", "in": "cookie", "name": RECORD_COOKIE},
}
CREDENTIALS: dict[object, list[Schema]] = {
    context.credentials: [{"accessToken": []}],
    items_context.credentials: [{"accessToken": []}, {"accessCookie": []}],
    record_requests.visitor_of: [
        {"projectKey": []},
        {"projectKey": [], "recordUserToken": []},
        {"projectKey": [], "recordUserCookie": []},
        {"projectKey": [], "masterKey": []},
    ],
}
FILES: Schema = {
    "type": "object",
    "required": [uploads.FILE_PART],
    "properties": {uploads.FILE_PART: {"type": "array", "items": STRING | {"format": "binary"}}},
    "additionalProperties": STRING,
}
ONE_FILE: Schema = {
    "type": "object",
    "required": [uploads.FILE_PART],
    "properties": {uploads.FILE_PART: STRING | {"format": "binary"}},
}
PROBLEMS: Schema = {
    "DatabaseError": {
        "type": "object",
        "required": ["detail"],
        "properties": {
            "error": STRING | {"description": "A code for programs; absent where HTTP's status says all."},
            "detail": {"description": "A text, or for bad input the problems by field: `{error, code}`."},
        },
    },
    "FlatError": {"type": "object", "additionalProperties": {"type": "array", "items": STRING}},
    "ItemsError": {"type": "object", "required": ["message"], "properties": {"message": STRING}},
    "RecordsError": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {"code": INTEGER, "message": STRING},
            }
        },
    },
}


def description_of(tables: Iterable[web.RouteTableDef]) -> web.RouteTableDef:
    """A table with one more route, where clients find the document of the others."""
    routes = web.RouteTableDef()
    written = cache(lambda: encode(document(tables)))

    @routes.get(PATH)
    async def describe(request: web.Request) -> web.Response:
        """Made when first asked for, which takes some 100 ms."""
        return web.Response(body=await asyncio.to_thread(written), content_type=context.JSON_TYPE)

    return routes


def document(tables: Iterable[web.RouteTableDef]) -> Schema:
    """The whole document."""
    described = [(route, inputs_of(route.handler)) for route in served(tables)]
    models = dict.fromkeys(model for _, found in described for model in (*found.bodies, *found.queries))
    models.pop(Body, None)
    references, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=REFERENCE, title="schemas"
    )
    bodies: dict[type[Body], Schema] = {Body: {"type": "object"}}  # whose keys only the table knows
    bodies |= {model: reference for (model, _), reference in references.items()}  # type: ignore[misc]
    schemas = definitions["$defs"]
    paths: Schema = {}
    for route, found in described:
        operation = describe_operation(route, found, bodies, schemas)
        paths.setdefault(SEGMENT.sub(r"{\1}", route.path), {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Roomcast", "version": "1", "description": "Databases of rows, boards of items, records."},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas | PROBLEMS, "securitySchemes": SECURITY},
    }


def served(tables: Iterable[web.RouteTableDef]) -> Iterator[web.RouteDef]:
    """The routes in their order; aiohttp adds HEAD to each GET."""
    for table in tables:
        for route in table:
            if isinstance(route, web.RouteDef) and route.method in METHODS:
                yield route


def describe_operation(route: web.RouteDef, found: Inputs, bodies: dict[type[Body], Schema], schemas: Schema) -> Schema:
    """One method of one path."""
    handler: Callable[..., Any] = inspect.unwrap(route.handler)
    area = handler.__module__.rpartition(".")[2]
    told = " ".join((handler.__doc__ or "").split())
    parameters = [*path_parameters(route.path), *read_parameters(found), *checked_parameters(found, bodies, schemas)]
    security = next((schemes for function, schemes in CREDENTIALS.items() if function in found.reached), [])
    body = body_of(found, bodies, schemas)
    return {
        "operationId": f"{area}_{handler.__name__}",
        "tags": [area],
        "summary": handler.__name__.replace("_", " ").capitalize(),
        **({"description": told} if told else {}),
        "parameters": parameters,
        **({"requestBody": body} if body else {}),
        "security": security,
        "responses": responses(route, found, refused(route.path, bool(parameters), bool(body), bool(security))),
    }


def path_parameters(path: str) -> Iterator[Schema]:
    for name, pattern in SEGMENT.findall(path):
        schema = INTEGER | {"format": "int64", "minimum": 0} if pattern == r"\d+" else STRING | {"minLength": 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def read_parameters(found: Inputs) -> Iterator[Schema]:
    """Parameters that a handler reads by name; none of them has to be there."""
    keys = {(scheme["in"], scheme["name"]) for scheme in SECURITY.values() if "name" in scheme}
    checked = {name for model in found.queries for name in model.model_fields}
    for (place, name), schema in found.parameters.items():
        if (place, name) not in keys and name not in checked:
            yield {"name": name, "in": place, "required": False, "schema": schema}


def checked_parameters(found: Inputs, bodies: dict[type[Body], Schema], schemas: Schema) -> Iterator[Schema]:
    """Parameters that a class of `Query` checks."""
    for model in found.queries:
        described = resolve(bodies[model], schemas)
        for name, schema in described["properties"].items():
            required = name in described.get("required", ())
            yield {"name": name, "in": "query", "required": required, "schema": schema}


def resolve(reference: Schema, schemas: Schema) -> Schema:
    """The schema behind a reference into this document."""
    return reference if "$ref" not in reference else dict(schemas[reference["$ref"].rpartition("/")[2]])


def body_of(found: Inputs, bodies: dict[type[Body], Schema], schemas: Schema) -> Schema | None:
    """The body that a handler checks; records take any JSON, or text, or files."""
    if record_requests.read_data in found.reached:
        content: Schema = {context.JSON_TYPE: {"schema": {}}, "text/plain": {"schema": STRING}}
        if uploads.received in found.reached:
            content[uploads.MULTIPART] = {"schema": FILES}
        return {"required": True, "content": content}
    if not found.bodies:
        return None
    reference = bodies[found.bodies[0]]
    required = bool(resolve(reference, schemas).get("required"))
    if items_context.read_list in found.reached:
        reference, required = {"type": "array", "items": reference}, True
    content = {context.JSON_TYPE: {"schema": reference}}
    if uploads.received in found.reached:
        texts = resolve(bodies[item_files.NewUpload], schemas)["properties"]
        content[uploads.MULTIPART] = {"schema": ONE_FILE | {"properties": ONE_FILE["properties"] | texts}}
    return {"required": required, "content": content}


def refused(path: str, parameters: bool, body: bool, security: bool) -> list[int]:
    """The statuses with which bad requests of a kind are refused; `default` has all others."""
    return [*[400] * parameters, *[400, 413, 415] * body, *[401] * security, *[404] * ("{" in path)]


def responses(route: web.RouteDef, found: Inputs, refusals: list[int]) -> Schema:
    """Successes first, then errors, all in the shape of the path's dialect."""
    content = {context.JSON_TYPE: {"schema": problem_of(route, found)}}
    answers = {str(status): answer(route, found, status) for status in sorted(found.statuses or {200})}
    errors = {str(status): {"description": REFUSALS[status], "content": content} for status in sorted({*refusals})}
    return answers | errors | {"default": {"description": "any other refusal", "content": content}}


def problem_of(route: web.RouteDef, found: Inputs) -> Schema:
    """The shape of an error."""
    shape = "RecordsError" if is_records(route.path) else "ItemsError" if is_items(route.path) else "DatabaseError"
    shapes = [shape, *["FlatError"] * (accounts.read_flat in found.reached)]
    references = [{"$ref": REFERENCE.format(model=shape)} for shape in shapes]
    return references[0] if len(references) == 1 else {"anyOf": references}


def answer(route: web.RouteDef, found: Inputs, status: int) -> Schema:
    told: Schema = {"description": ANSWERS[status]}
    if status != 204:
        anything = not found.statuses or files.send_file in found.reached
        told["content"] = {"*/*" if anything else context.JSON_TYPE: {}}
    if route.method == hdrs.METH_GET and context.note_position in found.reached:
        told["headers"] = {context.POSITION_HEADER: POSITION}
    return told
