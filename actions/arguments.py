"""Arguments of a call: read from what a model sent, or restored from what was stored."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from ..errors import DefinitionError
from .classes import secrets
from .forms import canonical_leaf, compile_changes, decimal_leaf
from .problems import FieldError, from_pydantic, hide
from .schema import ArgumentSchema, Schema, without_marks

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arguments:
    """Hold validated arguments: `values` as the handler takes them, `canonical` as they are hashed, stored and seen by rules."""

    values: Mapping[str, Any]
    canonical: Mapping[str, Any]


class Reader(Protocol):
    """Turn JSON objects into Arguments. `schema` is what the model sees, `rules_schema` what `canonical` looks like."""

    schema: Schema
    rules_schema: Schema

    def read(self, document: dict[str, Any]) -> Arguments | list[FieldError]:
        """Validate what a model sent."""

    def restore(self, canonical: Mapping[str, Any]) -> Arguments:
        """Rebuild arguments from their canonical form."""

    def as_sent(self, arguments: Arguments) -> dict[str, Any]:
        """Write arguments as a model would send them."""


class TypedReader:
    """Read arguments by the parameters of a function: strictly, and with nothing that is not declared."""

    def __init__(self, parameters: Mapping[str, inspect.Parameter], descriptions: Mapping[str, str], where: str) -> None:
        self._where, fields = where, dict[str, Any]()
        for name, parameter in parameters.items():
            _check_parameter(parameter, where)
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[name] = (parameter.annotation, default)
        try:
            with warnings.catch_warnings():  # `copy` or `json` are fine names for an argument: nobody calls the model's methods
                warnings.filterwarnings("ignore", "Field name .* shadows an attribute")
                model: type[BaseModel] = create_model("Arguments", __config__=ConfigDict(protected_namespaces=()), **fields)
            schema = model.model_json_schema(schema_generator=ArgumentSchema)
            self.rules_schema: Schema = model.model_json_schema(schema_generator=ArgumentSchema, mode="serialization")
        except (DefinitionError, PydanticSchemaGenerationError, PydanticUserError, NameError) as error:
            raise DefinitionError(f"{where}: {str(error).splitlines()[0]}") from None
        if renamed := parameters.keys() - schema.get("properties", {}).keys():
            raise DefinitionError(f"{where}: {min(renamed)!r} has an alias or is reserved; name the parameter as the model is to send it")
        for name, described in schema.get("properties", {}).items():
            if text := _documented(parameters[name].annotation) or descriptions.get(name):
                described.setdefault("description", text)
        self.schema: Schema = {"type": "object", "properties": {}, **without_marks(schema)}
        self._secrets = secrets(self.rules_schema)
        self._change = compile_changes(self.schema, self.schema, canonical_leaf)
        self._numbers = compile_changes(self.schema, self.schema, decimal_leaf)
        self._validate = model.__pydantic_validator__.validate_json
        self._dump = model.__pydantic_serializer__.to_python

    def read(self, document: dict[str, Any]) -> Arguments | list[FieldError]:
        """Validate what a model sent."""
        errors: list[FieldError] = []
        if self._change:
            document = self._change(document, "", errors)
        try:
            model = self._validate(orjson.dumps(document, default=_number), strict=True, extra="forbid")
        except ValidationError as error:
            found = {wrong.path for wrong in errors}
            errors += [wrong for wrong in from_pydantic(error, document, self.schema) if wrong.path not in found]
        except Exception as error:  # noqa: BLE001  (a validator's own bug, met by odd input: nothing that a model sends may raise)
            _log.error("a validator of %s raised %s, not ValueError", self._where, type(error).__name__)  # the text might hold a value
            errors.append(FieldError("", "can't be checked", "other values"))
        return hide(errors, self._secrets) if errors else self._arguments(model)

    def restore(self, canonical: Mapping[str, Any]) -> Arguments:
        """Rebuild arguments from their canonical form; raise ValueError where they no longer fit."""
        return self._arguments(self._restored(canonical))

    def as_sent(self, arguments: Arguments) -> dict[str, Any]:
        """Write arguments as a model would send them: numbers as numbers."""
        model = self._restored(arguments.canonical)
        sent: dict[str, Any] = self._dump(model, mode="json", by_alias=True, exclude_none=True, context={"for": "model"})
        return self._numbers(sent, "", []) if self._numbers else sent

    def _restored(self, canonical: Mapping[str, Any]) -> Any:
        return self._validate(orjson.dumps(canonical), strict=True, extra="forbid", context={"canonical": True})

    def _arguments(self, model: Any) -> Arguments:
        return Arguments(model.__dict__, self._dump(model, mode="json", by_alias=True, exclude_none=True))


def _number(value: Any) -> orjson.Fragment:
    assert isinstance(value, Decimal)
    return orjson.Fragment(str(value))


def _documented(annotation: Any) -> str | None:
    """Find the text of a `typing_extensions.Doc` (PEP 727)."""
    return next((mark.documentation for mark in getattr(annotation, "__metadata__", ()) if hasattr(mark, "documentation")), None)


def _check_parameter(parameter: inspect.Parameter, where: str) -> None:
    name = parameter.name
    if parameter.annotation is parameter.empty:
        raise DefinitionError(f"{where}: parameter {name!r} has no annotation; say what it is, such as {name}: str")
    if name.startswith("_") or not name.isascii():
        raise DefinitionError(f"{where}: parameter {name!r} must be ASCII and not begin with an underscore")
    if parameter.default is parameter.empty:
        return
    try:
        TypeAdapter(parameter.annotation).validate_python(parameter.default, strict=True)
    except ValidationError:
        raise DefinitionError(f"{where}: the default of {name!r}, {parameter.default!r}, is not a {parameter.annotation}") from None
    except (PydanticSchemaGenerationError, PydanticUserError, NameError) as error:
        raise DefinitionError(f"{where}: {str(error).splitlines()[0]}") from None
