"""The types of the resources that the sandbox serves, read from pulumi_aws's own classes.

Nothing is written down twice: names, types and what is required come from the `XxxArgs` classes of the installed SDK,
so an upgrade of pulumi_aws changes what the sandbox accepts.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any, Literal

import pulumi
from pulumi import _types

Kind = Literal["string", "integer", "number", "boolean", "list", "map", "object", "document"]


@dataclass(frozen=True)
class Type:
    """What a property may hold. A document is a JSON text that may also be written as an object."""

    kind: Kind
    element: Type | None = None
    fields: Mapping[str, Property] = field(default_factory=dict)


@dataclass(frozen=True)
class Property:
    """An input: its type, and whether it must be given."""

    type: Type
    required: bool


@dataclass(frozen=True)
class Schema:
    """Inputs and output-only properties of one resource type, under the names used on the wire."""

    token: str
    inputs: Mapping[str, Property]
    outputs: frozenset[str]
    """Properties that only the cloud sets."""

    @property
    def regional(self) -> bool:
        return "region" in self.inputs

    @property
    def tagged(self) -> bool:
        return "tagsAll" in self.outputs


_SCALARS: dict[type, Type] = {
    str: Type("string"),
    bool: Type("boolean"),
    int: Type("integer"),
    float: Type("number"),
}


_schemas: dict[type[pulumi.CustomResource], Schema] = {}


def resource_schema(resource: type[pulumi.CustomResource]) -> Schema:
    """The schema of a resource class of pulumi_aws, read once."""
    if resource not in _schemas:
        _schemas[resource] = _read_schema(resource)
    return _schemas[resource]


def _read_schema(resource: type[pulumi.CustomResource]) -> Schema:
    args = getattr(inspect.getmodule(resource), f"{resource.__name__}Args")
    inputs = _properties(args)
    token: str = resource.pulumi_type  # type: ignore[attr-defined]
    return Schema(token, inputs, frozenset(_types.resource_types(resource)) - frozenset(inputs))


@cache
def function_schema(function: Callable[..., Any]) -> Mapping[str, Property]:
    """The arguments of an invoke, from the signature of its Python function (`get_xyz`)."""
    hints = typing.get_type_hints(function, vars(inspect.getmodule(function)))
    parameters = inspect.signature(function).parameters
    return {
        _camel_case(name): Property(_type(hints[name]), parameter.default is inspect.Parameter.empty)
        for name, parameter in parameters.items()
        if name != "opts"
    }


def _camel_case(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


@cache
def _properties(args: type) -> Mapping[str, Property]:
    types = _types.input_type_types(args)
    parameters = inspect.signature(args.__init__).parameters  # type: ignore[misc]
    return {
        wire: Property(_type(types[wire]), parameters[python].default is inspect.Parameter.empty)
        for python, wire in _types.input_type_py_to_pulumi_names(args).items()
    }


def _type(hint: Any) -> Type:
    hint = _types.unwrap_type(hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin = typing.get_origin(hint)
    if origin in (Sequence, list):
        return Type("list", _type(typing.get_args(hint)[0]))
    if origin in (Mapping, dict):
        return Type("map", _type(typing.get_args(hint)[1]))
    if origin is not None:
        return _union(typing.get_args(hint))
    if isinstance(hint, type) and _types.is_input_type(hint):
        return Type("object", fields=_properties(hint))
    if isinstance(hint, type) and issubclass(hint, str):
        return _SCALARS[str]
    raise TypeError(f"{hint} is a type that the sandbox has no rule for")


def _union(members: tuple[Any, ...]) -> Type:
    """pulumi_aws has three unions: text or enum of texts, text or JSON document, object or its dict form."""
    classes = [member for member in members if isinstance(member, type)]
    objects = [member for member in classes if _types.is_input_type(member)]
    if str in classes:
        return Type("document") if objects else _SCALARS[str]
    if objects:
        return Type("object", fields=_properties(objects[0]))
    enums = [member for member in classes if issubclass(member, Enum)]
    if enums:
        return _SCALARS[str]
    raise TypeError(f"{members} is a union that the sandbox has no rule for")
