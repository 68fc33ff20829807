"""What the developer's functions give back, results and facts: validated, canonical, and cut down to what may be seen."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import PydanticSerializationError

from ..errors import DefinitionError
from . import strict
from .forms import DROP, Change, compile_changes, instant_leaf, without_fractions
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
            self._adapter: TypeAdapter[Any] = TypeAdapter(Any if annotation is inspect.Signature.empty else annotation)
            schema = self._adapter.json_schema(schema_generator=SignatureSchema, mode="serialization")
        except (DefinitionError, PydanticSchemaGenerationError, PydanticUserError, NameError) as error:
            raise DefinitionError(f"{where}, the result: {str(error).splitlines()[0]}") from None
        self.schema: Schema | None = None if all(map(_says_nothing, branches(schema, schema))) else schema
        self._instants = compile_changes(schema, schema, instant_leaf)
        self._hide_secret = compile_changes(schema, schema, _cut_leaf("secret"))
        self._hide_internal = compile_changes(schema, schema, _cut_leaf("secret", "internal"))

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
        return Result(_cut(self._hide_secret, stored), _cut(self._hide_internal, seen))

    def _validated(self, value: Any) -> Any:
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from None

    def _dump(self, value: Any, context: Mapping[str, str]) -> Any:
        try:
            dumped = self._adapter.dump_python(
                value, mode="json", by_alias=True, exclude_none=True, warnings="error", context=dict(context)
            )
            checked = without_fractions(strict.check(dumped, max_bytes=MAX_BYTES))
        except (PydanticSerializationError, strict.Unreadable) as error:
            raise ValueError(str(error).splitlines()[0]) from None
        errors: list[FieldError] = []
        changed = self._instants(checked, "", errors) if self._instants else checked
        if errors:
            raise ValueError(f"{errors[0].path}: {errors[0].problem}; it must be {errors[0].expected}")
        return changed


def _says_nothing(schema: Schema) -> bool:
    """Say whether a schema is that of Any or of a bare dict."""
    return schema in ({}, {"type": "object"}, {"type": "object", "additionalProperties": True})


def _cut_leaf(*marks: str) -> Callable[[Schema], Change | None]:
    return lambda node: (lambda _value, _path, _errors: DROP) if node.get("x-remit") in marks else None


def _cut(change: Change | None, value: Any) -> Any:
    cut = change(value, "", []) if change else value
    return None if cut is DROP else cut
