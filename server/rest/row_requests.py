"""What requests about rows have in common: parameters, and the items of a batch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from aiohttp import web
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from server.errors import PAGE_SIZE_LIMIT, Refused
from server.rest.paging import number
from server.rest.schema_types import Integer, Invalid, Kind, problem
from server.rest.schemas import Body, ListOf, Query

MAX_ITEMS = 200  # rows of one batch, or of one page
PAGE_SIZE = 100
TRUE = ("", "true", "t", "yes", "y", "on", "1")


class Before(Query):
    """Where a new row goes."""

    before: Annotated[int | None, Integer(min=0)] = None


class BeforeId(Query):
    """Where a row moves to."""

    before_id: Annotated[int | None, Integer(min=0)] = None


@dataclass(frozen=True)
class RowValues(Kind):
    """The cells of one row of a batch; which fields there are only the table knows."""

    def convert(self, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        text = f"Invalid data. Expected a dictionary, but got {type(value).__name__}."
        raise Invalid({"non_field_errors": [problem(text, "invalid")]})

    def shape(self, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.dict_schema(core_schema.str_schema())


@dataclass(frozen=True)
class RowChanges(RowValues):
    """The same with the `id` of the row, as a pair."""

    def convert(self, value: Any) -> Any:
        values = super().convert(value)
        if "id" not in values:
            raise Invalid({"id": [problem("This field is required.", "invalid")]})
        try:
            return Integer().clean(values["id"]), values
        except Invalid as refusal:
            raise Invalid({"id": refusal.problems}) from None

    def shape(self, handler: GetCoreSchemaHandler) -> CoreSchema:
        fields = {"id": core_schema.typed_dict_field(Integer().shape(handler))}
        return core_schema.typed_dict_schema(fields, extra_behavior="allow")


class NewRows(Body):
    items: Annotated[list[dict[str, Any]], ListOf(RowValues(), min_length=1, max_length=MAX_ITEMS)]


class ChangedRows(Body):
    items: Annotated[list[Any], ListOf(RowChanges(), min_length=1, max_length=MAX_ITEMS)]


class RowIds(Body):
    items: Annotated[list[int], ListOf(Integer(), min_length=1, max_length=MAX_ITEMS)]


def flag(request: web.Request, name: str) -> bool:
    """A parameter that is there and not false."""
    return request.query.get(name, "false").lower() in TRUE


def by_name(request: web.Request) -> bool:
    """Whether fields are named as users named them."""
    return flag(request, "user_field_names")


def page_size(query: Mapping[str, str]) -> int:
    """Rows of a page; 0 and what is no number count as the default. Raises Refused above the limit."""
    size = number(query.get("size"), PAGE_SIZE) or PAGE_SIZE
    if size > MAX_ITEMS:
        raise Refused(PAGE_SIZE_LIMIT, f"The page size is limited to {MAX_ITEMS}.")
    return size
