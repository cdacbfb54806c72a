"""Amazon MSK's own service model, as botocore ships it: which call a request is, and whether both ways fit the model.

Only what the model says lives here; rules of the service that no model holds are in the `rules` modules.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import botocore.session  # type: ignore[import-untyped]
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape  # type: ignore[import-untyped]
from botocore.validate import ParamValidator  # type: ignore[import-untyped]

from sandbox.api.errors import ServiceError, ShapeError, bad_request

Params = dict[str, Any]

OVERSTATED: Final = frozenset({"__integerMin1Max15"})
"""Shapes whose limits the service does not keep: clusters have up to 60 brokers (quotas page, 2026-09), the model says
15."""


@dataclass(frozen=True)
class Route:
    """A call and the requests that mean it."""

    method: str
    path: re.Pattern[str]
    operation: OperationModel


@cache
def service() -> ServiceModel:
    return botocore.session.get_session().get_service_model("kafka")


@cache
def routes() -> tuple[Route, ...]:
    """Every call of the service; the longest paths first, because an ARN may hold anything but a raw slash."""
    found = []
    for name in service().operation_names:
        operation = service().operation_model(name)
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(operation.http["requestUri"]))
        found.append(Route(operation.http["method"], re.compile(pattern), operation))
    return tuple(sorted(found, key=lambda route: -len(route.path.pattern)))


def match(method: str, raw_path: str) -> tuple[OperationModel, Mapping[str, str]] | None:
    """The call that a request is, and the labels of its path. `raw_path` is as sent, escapes and all."""
    for route in routes():
        if route.method == method and (found := route.path.fullmatch(raw_path)):
            return route.operation, {name: unquote(value) for name, value in found.groupdict().items()}
    return None


def parse(operation: OperationModel, labels: Mapping[str, str], query: str, body: bytes) -> Params:
    """The call's parameters under the model's member names; what the model does not know is refused."""
    shape = operation.input_shape
    try:
        document = json.loads(body) if body else {}
    except ValueError as error:
        raise bad_request(f"The request body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise bad_request("The request body must be a JSON object")
    if shape is None:
        return {}
    arguments = parse_qs(query, keep_blank_values=True)
    names = {member.serialization.get("name", name): name for name, member in shape.members.items()}
    params: Params = {}
    for wire, name in names.items():
        member = shape.members[name]
        where = member.serialization.get("location")
        if where == "uri":
            params[name] = _from_text(member, [labels[wire]])
        elif where == "querystring":
            if wire in arguments:
                params[name] = _from_text(member, arguments.pop(wire))
        elif document.get(wire) is not None:
            params[name] = _read(member, document.pop(wire))
        else:
            document.pop(wire, None)
    if unknown := [*document, *arguments]:
        raise bad_request(f"{operation.name} has no parameter {', '.join(sorted(unknown))}")
    check_input(operation, params)
    return params


def check_input(operation: OperationModel, params: Params) -> None:
    """Refuses what the model does not allow, naming the first parameter that is wrong."""
    assert operation.input_shape is not None
    report = ParamValidator().validate(params, operation.input_shape)
    if report.has_errors():
        raise bad_request(report.generate_report())
    for path, problem in _violations(operation.input_shape, params, ""):
        raise bad_request(f"{path} {problem}", path.rpartition(".")[2])


def check_output(operation: OperationModel, result: Params) -> None:
    """Raises ShapeError unless `result` is an answer that the service could give."""
    shape = operation.output_shape
    if shape is None:
        if result:
            raise ShapeError(f"{operation.name} answers nothing, not {result}")
        return
    report = ParamValidator().validate(result, shape)
    if report.has_errors():
        raise ShapeError(f"{operation.name}: {report.generate_report()}")
    for path, problem in _violations(shape, result, ""):
        raise ShapeError(f"{operation.name}: {path} {problem}")


def respond(operation: OperationModel, result: Params) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a call that went well."""
    check_output(operation, result)
    status = int(operation.http.get("responseCode", 200))
    if operation.output_shape is None:
        return status, {}, b""
    return status, {"Content-Type": "application/json"}, json.dumps(_write(operation.output_shape, result)).encode()


def refuse(operation: OperationModel, error: ServiceError) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a call that the service refuses.

    A call that does not model an error answers BadRequestException in its place: PutClusterPolicy, for one, has no
    NotFoundException.
    """
    modelled = {shape.name: shape for shape in operation.error_shapes}
    code = error.code if error.code in modelled else "BadRequestException"
    document = {"message": error.message}
    if error.parameter:
        document["invalidParameter"] = error.parameter
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return modelled[code].metadata["error"]["httpStatusCode"], headers, json.dumps(document).encode()


def _from_text(shape: Shape, values: list[str]) -> Any:
    if isinstance(shape, ListShape):
        return [_from_text(shape.member, [value]) for value in values]
    value = values[-1]
    if shape.type_name in {"integer", "long"}:
        try:
            return int(value)
        except ValueError as error:
            raise bad_request(f"{value} is not a number") from error
    if shape.type_name == "boolean":
        return value == "true"
    return value


def _read(shape: Shape, value: Any) -> Any:
    """A JSON value under member names in place of wire names; what fits no shape is left for the validator."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        names = {member.serialization.get("name", name): name for name, member in shape.members.items()}
        return {
            names.get(wire, wire): _read(shape.members[names[wire]], item) if wire in names else item
            for wire, item in value.items()
            if item is not None
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_read(shape.member, item) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {key: _read(shape.value, item) for key, item in value.items()}
    if shape.type_name == "blob" and isinstance(value, str):
        return base64.b64decode(value)
    return value


def _write(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape):
        return {
            shape.members[name].serialization.get("name", name): _write(shape.members[name], item)
            for name, item in value.items()
        }
    if isinstance(shape, ListShape):
        return [_write(shape.member, item) for item in value]
    if isinstance(shape, MapShape):
        return {key: _write(shape.value, item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def _violations(shape: Shape, value: Any, path: str) -> list[tuple[str, str]]:
    """What botocore's validator leaves out: enums, patterns and upper limits."""
    if isinstance(shape, StructureShape):
        return [
            found
            for name, item in value.items()
            for found in _violations(shape.members[name], item, f"{path}.{name}" if path else name)
        ]
    if isinstance(shape, ListShape):
        return [found for item in value for found in _violations(shape.member, item, path)]
    if isinstance(shape, MapShape):
        return [found for item in value.values() for found in _violations(shape.value, item, path)]
    limits = shape.metadata
    found = []
    if "enum" in limits and value not in limits["enum"]:
        found.append((path, f"is {value}; it must be one of {', '.join(limits['enum'])}"))
    if "pattern" in limits and not re.fullmatch(limits["pattern"], value):
        found.append((path, f"is {value}; it must match {limits['pattern']}"))
    if "max" in limits and shape.name not in OVERSTATED:
        size = len(value) if isinstance(value, str) else value
        if size > limits["max"]:
            found.append((path, f"is {value}; the most is {limits['max']}"))
    return found
