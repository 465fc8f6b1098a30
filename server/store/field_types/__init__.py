"""The field types of the database API, by the name that fields carry in `type`."""

from types import MappingProxyType

from server.store.field_types.base import (
    Cell,
    CellError,
    Dialect,
    FieldType,
    Option,
    Options,
    OptionsError,
    OptionValue,
)
from server.store.field_types.boolean import BooleanType
from server.store.field_types.date import DateType
from server.store.field_types.number import NumberType
from server.store.field_types.text import LongTextType, TextType

FIELD_TYPES: MappingProxyType[str, FieldType] = MappingProxyType(
    {kind.name: kind for kind in (TextType(), LongTextType(), NumberType(), BooleanType(), DateType())}
)

__all__ = [
    "FIELD_TYPES",
    "Cell",
    "CellError",
    "Dialect",
    "FieldType",
    "Option",
    "OptionValue",
    "Options",
    "OptionsError",
]
