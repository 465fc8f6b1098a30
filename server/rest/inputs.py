"""What a handler takes from its request and how it answers, found in its own source: nothing to declare, or to forget.

A handler and the helpers of this package that it names are read as one. A class of `Body` or `Query` that they name is
what they check; `….query.get("name")`, `….headers.get("name")` and the calls in `PARAMETERS` are what else they read.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from types import FunctionType
from typing import Any

from server.rest.context import no_content, respond
from server.rest.events import position_of
from server.rest.paging import number
from server.rest.record_requests import is_true, whole_number
from server.rest.row_requests import flag
from server.rest.schemas import Body, Query

Schema = dict[str, Any]
STRING, INTEGER, BOOLEAN = ({"type": name} for name in ("string", "integer", "boolean"))
PARAMETERS: dict[object, Schema] = {flag: BOOLEAN, is_true: BOOLEAN, whole_number: INTEGER}  # f(request, "name")
CONVERTERS: dict[object, Schema] = {number: INTEGER, position_of: INTEGER}  # f(….query.get("name"))
PLACES = {"query": "query", "headers": "header"}
DESCRIBED_ELSEWHERE = {"Authorization", "Content-Type", "Accept"}  # OpenAPI knows no parameters of these names


@dataclass
class Inputs:
    """All of one handler: parameters by place and name, and the functions that it reaches."""

    bodies: list[type[Body]] = field(default_factory=list)
    queries: list[type[Query]] = field(default_factory=list)
    parameters: dict[tuple[str, str], Schema] = field(default_factory=dict)
    reached: set[object] = field(default_factory=set)
    statuses: set[int] = field(default_factory=set)

    def note(self, place: str, name: str, schema: Schema) -> None:
        """Of several ways in which a parameter is read the first one found counts, which is the outermost."""
        if name not in DESCRIBED_ELSEWHERE:
            self.parameters.setdefault((place, name), schema)


def inputs_of(handler: Callable[..., Any]) -> Inputs:
    """What a handler and its helpers read."""
    found = Inputs()
    follow(handler, found)
    return found


def follow(function: Callable[..., Any], found: Inputs) -> None:
    """Reads a function and, once each, the ones that it names."""
    plain = inspect.unwrap(function)
    if plain in found.reached or not isinstance(plain, FunctionType):
        return
    found.reached.add(plain)
    if plain in (respond, no_content):
        return
    for node in nodes(plain):
        if isinstance(node, ast.Name):
            notice_name(plain.__globals__.get(node.id), found)
        elif isinstance(node, ast.Call):
            notice_call(node, plain.__globals__, found)


@cache
def nodes(function: FunctionType) -> tuple[ast.AST, ...]:
    """The nodes of a function's body, outer ones first; its signature says nothing here."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
    return tuple(node for statement in definition.body for node in ast.walk(statement))


def notice_name(value: object, found: Inputs) -> None:
    """A class of checked values, or a helper to follow."""
    if isinstance(value, type) and issubclass(value, Body):
        if not issubclass(value, Query):
            found.bodies.append(value)
        elif value not in found.queries:
            found.queries.append(value)
    elif callable(value) and getattr(value, "__module__", "").startswith("server.rest."):
        follow(value, found)


def notice_call(call: ast.Call, names: dict[str, Any], found: Inputs) -> None:
    """A parameter that is read, or an answer that is given."""
    callee = names.get(call.func.id) if isinstance(call.func, ast.Name) else None
    if callee is respond:
        found.statuses |= set(successes(call)) or {200}
    elif callee is no_content:
        found.statuses.add(204)
    elif isinstance(callee, FunctionType) and callee in PARAMETERS and (name := text(call.args[1])):
        found.note("query", name, PARAMETERS[callee])
    elif isinstance(callee, FunctionType) and callee in CONVERTERS:
        notice_read(call.args[0], CONVERTERS[callee], found)
    else:
        notice_read(call, STRING, found)


def notice_read(call: ast.expr, schema: Schema, found: Inputs) -> None:
    """`request.query.get("name")`, or `query.get("name")` where the query has this very name."""
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.args):
        return
    source, name = call.func.value, text(call.args[0])
    place = PLACES.get(source.attr if isinstance(source, ast.Attribute) else getattr(source, "id", ""))
    if place and name and call.func.attr in ("get", "getall"):
        many = call.func.attr == "getall"
        found.note(place, name, {"type": "array", "items": schema} if many else schema)


def successes(call: ast.Call) -> Iterator[int]:
    """The statuses of success that an answer names."""
    for argument in [*call.args[1:], *(keyword.value for keyword in call.keywords)]:
        for node in ast.walk(argument):
            if isinstance(node, ast.Constant) and type(node.value) is int and 200 <= node.value < 300:
                yield node.value


def text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
