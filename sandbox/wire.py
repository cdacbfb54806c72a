"""How property values travel between the engine and a provider, and what the sandbox works on instead.

On the wire a value is a `google.protobuf.Struct`; secrets and unknown values are marked in band. The sandbox works on
plain dicts: numbers without a fraction are ints, nulls are gone, an unknown value is the string `UNKNOWN`, and the
paths that were secret are kept beside the value, so that they can be marked again on the way back.
(The markers are fixed by the engine: `sdk/go/common/resource/sig/sig.go` in pulumi/pulumi.)
"""

from __future__ import annotations

from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The engine's marker for a value that is not known before the update."""

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"

Props = dict[str, Any]
Path = tuple[str | int, ...]
Secrets = frozenset[Path]
NO_SECRETS: Secrets = frozenset()


def decode(struct: Struct) -> tuple[Props, Secrets]:
    """Plain properties of a message, and the paths that are secret in it."""
    secrets: set[Path] = set()
    return _decode_fields(struct, (), secrets), frozenset(secrets)


def encode(props: Props, secrets: Secrets = NO_SECRETS) -> Struct:
    """The message for plain properties; values at `secrets` are marked as secret, missing ones are ignored."""
    struct = Struct()
    _encode_fields(struct, props, (), secrets)
    return struct


def carried(secrets: Secrets, props: Props) -> Secrets:
    """Where secrets are after `Check`: tags are repeated in `tagsAll`, and an object may have become a text."""
    repeated = {("tagsAll", *path[1:]) for path in secrets if path[0] == "tags"}
    return frozenset(_innermost(path, props) for path in secrets | repeated)


def _innermost(path: Path, props: Props) -> Path:
    value: Any = props
    for depth, key in enumerate(path):
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return path[:depth]
    return path


def contains_unknown(value: Any) -> bool:
    """Whether the value or anything inside it is known only during the update."""
    if isinstance(value, dict):
        return any(contains_unknown(inner) for inner in value.values())
    if isinstance(value, list):
        return any(contains_unknown(inner) for inner in value)
    return bool(value == UNKNOWN)


def _decode_fields(struct: Struct, path: Path, secrets: set[Path]) -> Props:
    fields = ((key, _decode_value(value, (*path, key), secrets)) for key, value in struct.fields.items())
    return {key: value for key, value in fields if value is not None}


def _decode_value(value: Value, path: Path, secrets: set[Path]) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_decode_value(inner, (*path, index), secrets) for index, inner in enumerate(value.list_value.values)]
    if kind == "struct_value":
        fields = value.struct_value.fields
        if _SIGNATURE in fields and fields[_SIGNATURE].string_value == _SECRET:
            secrets.add(path)
            return _decode_value(fields["value"], path, secrets)
        return _decode_fields(value.struct_value, path, secrets)
    return None


def _encode_fields(struct: Struct, props: Props, path: Path, secrets: Secrets) -> None:
    fields = struct.fields
    for key, value in props.items():
        if value is not None:
            _encode_value(fields[key], value, (*path, key), secrets)


def _encode_value(target: Value, value: Any, path: Path, secrets: Secrets) -> None:
    if secrets and path in secrets:
        wrapper = target.struct_value.fields
        wrapper[_SIGNATURE].string_value = _SECRET
        target, secrets = wrapper["value"], secrets - {path}
    if isinstance(value, str):
        target.string_value = value
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        target.number_value = value
    elif isinstance(value, dict):
        target.struct_value.SetInParent()
        _encode_fields(target.struct_value, value, path, secrets)
    elif isinstance(value, list):
        target.list_value.SetInParent()
        for index, inner in enumerate(value):
            _encode_value(target.list_value.values.add(), inner, (*path, index), secrets)
    elif value is None:
        target.null_value = 0  # type: ignore[assignment]
    else:
        raise TypeError(f"{path} is a {type(value).__name__}; only plain JSON values can be sent to the engine")
