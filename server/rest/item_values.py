"""Values of items, and what ends the work on them (contract items.md)."""

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from server.actions import accountings, finalize, items, workflows
from server.actions.item_values import MAX_VALUES
from server.rest.context import respond
from server.rest.items_context import act_answered, look, read_body, read_list
from server.rest.schema_types import Boolean, Char, Choice, Integer, Kind, Problem, problem, refuse
from server.rest.schemas import Body, JsonObject, ListOf

routes = web.RouteTableDef()
MAX_TEXT = 4096  # characters
MAX_ROW = 9999  # of line items
MAX_PAGE = 2**31 - 1
MAX_ENTRIES = 1000  # of the accounting of one item
CORNERS = 4
AMOUNT = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,4})?")


@dataclass(frozen=True)
class Fraction(Kind):
    """A number from 0 to 1."""

    def convert(self, value: Any) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 and math.isfinite(value):
            return float(value)
        raise refuse("A number from 0 to 1 is required.", "invalid")

    def shape(self, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.float_schema(ge=0, le=1)


@dataclass(frozen=True)
class Amount(Char):
    """An amount of money as text, such as `230.00`."""

    max_length: int | None = 30

    def problems(self, text: str) -> list[Problem]:
        wrong = [] if AMOUNT.fullmatch(text) else [problem("Enter an amount such as 230.00.", "invalid")]
        return super().problems(text) + wrong


class Corner(Body):
    x: Annotated[float, Fraction()]
    y: Annotated[float, Fraction()]


class ValueChanges(Body):
    value: Annotated[str | None, Char(max_length=MAX_TEXT, allow_blank=True)] = None
    extracted: Annotated[str | None, Char(max_length=MAX_TEXT, allow_blank=True, allow_null=True)] = None
    count: Annotated[int | None, Integer(min=0, max=MAX_PAGE)] = None
    page_number: Annotated[int | None, Integer(min=0, max=MAX_PAGE, allow_null=True)] = None
    location: Annotated[list[Any] | None, ListOf(Corner, CORNERS, CORNERS, allow_null=True)] = None
    algorithm: Annotated[str | None, Char(max_length=64, allow_null=True)] = None
    confidence: Annotated[float | None, Fraction(allow_null=True)] = None

    def given(self) -> dict[str, Any]:
        given = super().given()
        if corners := given.get("location"):
            given["location"] = [corner.given() for corner in corners]
        return given


class NewValue(ValueChanges):
    field_id: Annotated[str | None, Char()] = None
    field_name: Annotated[str | None, Char(max_length=255)] = None
    column_index: Annotated[int | None, Integer(min=0, max=MAX_ROW, allow_null=True)] = None
    value: Annotated[str | None, Char(max_length=MAX_TEXT, allow_blank=True, allow_null=True)] = None


class Entry(Body):
    account: Annotated[str, Char(max_length=32)]
    debit: Annotated[str | None, Amount(allow_null=True)] = None
    credit: Annotated[str | None, Amount(allow_null=True)] = None
    dimensions: Annotated[dict[str, Any] | None, JsonObject()] = None
    cost_center: Annotated[str | None, Char(max_length=255, allow_blank=True, allow_null=True)] = None
    project: Annotated[str | None, Char(max_length=255, allow_blank=True, allow_null=True)] = None
    transaction_information: Annotated[str | None, Char(max_length=1000, allow_blank=True, allow_null=True)] = None
    is_accrual: Annotated[bool | None, Boolean()] = None


class Finalization(Body):
    values: Annotated[list[Any], ListOf(NewValue, max_length=MAX_VALUES)] = Field(default_factory=list)
    accounting: Annotated[list[Any], ListOf(Entry, max_length=MAX_ENTRIES)] = Field(default_factory=list)
    classification: Annotated[str | None, Choice(workflows.CLASSIFICATIONS, allow_null=True)] = None


@routes.put("/items/{item_id}/values")
async def put_values(request: web.Request) -> web.Response:
    values = await read_list(request, "values", NewValue, MAX_VALUES)
    return respond(await act_answered(request, items.put_values, item_id=request.match_info["item_id"], values=values))


@routes.patch("/values/{value_id}")
async def update_value(request: web.Request) -> web.Response:
    changes = (await read_body(request, ValueChanges)).given()
    value_id = request.match_info["value_id"]
    return respond(await act_answered(request, items.update_value, value_id=value_id, changes=changes))


@routes.post("/items/{item_id}/finalize")
async def finalize_item(request: web.Request) -> web.Response:
    body = await read_body(request, Finalization)
    finalized = await act_answered(
        request,
        finalize.finalize_item,
        item_id=request.match_info["item_id"],
        values=[value.given() for value in body.values],
        accounting=[entry.given() for entry in body.accounting],
        classification=body.classification,
    )
    return respond(finalized)


@routes.get("/items/{item_id}/accountings")
async def list_accountings(request: web.Request) -> web.Response:
    return respond(await look(request, accountings.list_accountings, item_id=request.match_info["item_id"]))


@routes.get("/items/{item_id}/predefined_accountings")
async def list_predefined(request: web.Request) -> web.Response:
    return respond(await look(request, accountings.list_predefined, item_id=request.match_info["item_id"]))
