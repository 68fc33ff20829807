"""What the developer's functions give back, results and facts: validated, canonical, and cut down to what may be seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import NoneType
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import PydanticSerializationError

from . import strict
from ..errors import DefinitionError
from .forms import DROP, Change, compile_changes, decimal_text, instant_leaf
from .problems import FieldError
from .schema import Schema, SignatureSchema, branches

MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Result:
    """Hold a result as it is stored (`canonical`, without secrets) and as the model may see it (`model`, nothing internal)."""

    canonical: Any
    model: Any


@dataclass(frozen=True, slots=True)
class ResultInvalid:
    """Say why a result can't be used. The effect has happened all the same."""

    reason: str


class Output:
    """Validate and dump the values of one return annotation. `schema` is None where the annotation says nothing."""

    def __init__(self, annotation: Any, where: str) -> None:
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(annotation)
            schema = self._adapter.json_schema(schema_generator=SignatureSchema, mode="serialization")
        except (DefinitionError, PydanticSchemaGenerationError, PydanticUserError, NameError) as error:
            raise DefinitionError(f"{where}, the result: {str(error).splitlines()[0]}") from None
        untyped = all(
            option.keys() <= {"type", "additionalProperties"}
            and option.get("additionalProperties", True) is True
            and option.get("type", "object") == "object"
            for option in branches(schema, schema)
        )
        self.schema: Schema | None = None if untyped and annotation not in {None, NoneType} else schema
        self._instants = compile_changes(schema, schema, instant_leaf)
        self._cuts = {
            marks: compile_changes(schema, schema, lambda node, marks=marks: _drop if node.get("x-remit") in marks else None)
            for marks in (("secret",), ("secret", "internal"))
        }

    def canonical(self, value: Any) -> Any:
        """Give the canonical JSON of `value`, secrets and all. Raise ValueError where it is not what was declared."""
        return self._dump(self._validated(value), {})

    def result(self, value: Any) -> Result | ResultInvalid:
        """Give both faces of a result."""
        try:
            value = self._validated(value)
            stored, seen = self._dump(value, {}), self._dump(value, {"for": "model"})
        except ValueError as error:
            return ResultInvalid(str(error))
        return Result(_cut(self._cuts["secret",], stored), _cut(self._cuts["secret", "internal"], seen))

    def _validated(self, value: Any) -> Any:
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from None

    def _dump(self, value: Any, context: Mapping[str, str]) -> Any:
        try:
            dumped = self._adapter.dump_python(value, mode="json", exclude_none=True, warnings="error", context=dict(context))
            checked = _texts(strict.check(dumped, max_bytes=MAX_BYTES))
        except (PydanticSerializationError, strict.Unreadable) as error:
            raise ValueError(str(error).splitlines()[0]) from None
        errors: list[FieldError] = []
        changed = self._instants(checked, "", errors) if self._instants else checked
        if errors:
            raise ValueError(f"{errors[0].path}: {errors[0].problem}; it must be {errors[0].expected}")
        return changed


def _drop(_value: Any, _path: str, _errors: list[FieldError]) -> Any:
    return DROP


def _cut(change: Change | None, value: Any) -> Any:
    cut = change(value, "", []) if change else value
    return None if cut is DROP else cut


def _texts(value: Any) -> Any:
    """Write the fractions of an undeclared value as text: no record holds a float."""
    match value:
        case Decimal():
            return decimal_text(value)
        case dict():
            return {name: _texts(item) for name, item in value.items()}
        case list():
            return [_texts(item) for item in value]
        case _:
            return value
