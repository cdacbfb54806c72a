"""The provider that the engine attaches to: gRPC in, handlers out. It knows no resource type itself."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, empty_pb2
from google.rpc import status_pb2  # type: ignore[import-untyped]
from pulumi.runtime import proto
from pulumi.runtime.proto import provider_pb2_grpc

from sandbox.aws import FUNCTIONS, HANDLERS
from sandbox.aws.base import Handler, Incomplete, having_made
from sandbox.check import Failure, NameTooLong, ProviderConfig, fill_in, plain, shape_failures
from sandbox.cloud import Aws, AwsError, CallerGone, Cloud
from sandbox.diff import Change, changes, foreseen, merged
from sandbox.schema import function_schema
from sandbox.wire import UNKNOWN, Props, Secrets, carried, decode, encode

log = logging.getLogger("sandbox")

_KINDS = {"add": 0, "delete": 2, "update": 4}  # PropertyDiff.Kind; one more is the same with a replacement


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """`pulumi-resource-aws`, as far as the sandbox goes.

    One server serves every provider resource of every engine; the engine uses one connection for each, so what it
    configured is kept by the peer's address.
    """

    def __init__(self, cloud: Cloud, handlers: Mapping[str, Handler] = HANDLERS) -> None:
        self.cloud = cloud
        self._handlers = handlers
        self._configs: dict[str, ProviderConfig] = {}

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        return proto.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True)

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return proto.PluginInfo(version=version("pulumi_aws"))

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        return proto.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        old, new = (_config_value(decode(struct)[0], "region") for struct in (request.olds, request.news))
        replaces = ["region"] if old != new else []
        return proto.DiffResponse(replaces=replaces, diffs=replaces)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        args, _ = decode(request.args)
        region = _config_value(args, "region")
        if not isinstance(region, str):
            _refuse(
                context, "aws:region is missing; set it in the stack's config, e.g. `pulumi config set aws:region …`"
            )
        tags = (_config_value(args, "defaultTags") or {}).get("tags", {})
        with self.cloud.lock:
            aws = Aws(self.cloud, region, "provider", peer=context.peer())
            try:
                self.cloud.region(region)
                if not _config_value(args, "skipCredentialsValidation"):
                    aws.touch("sts:GetCallerIdentity")
            except AwsError as error:
                operation = "retrieving caller identity from STS: " if error.operation else ""
                _refuse(context, f"validating provider credentials: {operation}{error if operation else error.message}")
            self._configs[context.peer()] = ProviderConfig(region, tags)
        return proto.ConfigureResponse(acceptSecrets=True, supportsPreview=True, acceptResources=True)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Sent at the end of every phase, also to attached providers: nothing to do."""
        return empty_pb2.Empty()

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        handler = self._handler(request.type, context)
        news, secrets = decode(request.news)
        olds, _ = decode(request.olds)
        failures = list(shape_failures(handler.schema.inputs, news))
        inputs: Props = {}
        if not failures:
            config = self._config(context)
            try:
                inputs = fill_in(handler.schema, handler.rules, news, olds, request.name, request.randomSeed, config)
            except NameTooLong as error:
                failures = [Failure(error.property, f"could not make instance of '{request.type}': {error}")]
            else:
                failures = list(handler.check(plain(inputs)))
        if failures:
            return proto.CheckResponse(
                failures=[proto.CheckFailure(property=f.property, reason=f.reason) for f in failures]
            )
        return proto.CheckResponse(inputs=encode(inputs, carried(secrets, inputs)))

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        handler = self._handler(request.type, context)
        state, inputs = decode(request.olds)[0], decode(request.news)[0]
        found = _changes(handler, state, plain(inputs))
        replaces = sorted({change.path for change in found if change.replaces})
        return proto.DiffResponse(
            changes=proto.DiffResponse.DIFF_SOME if found else proto.DiffResponse.DIFF_NONE,
            diffs=sorted({_top_level(change.path) for change in found}),
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and _deletes_first(handler, inputs),
            hasDetailedDiff=True,
            detailedDiff={
                change.path: proto.PropertyDiff(kind=_KINDS[change.kind] + change.replaces)  # type: ignore[arg-type]
                for change in found
            },
        )

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        handler = self._handler(request.type, context)
        checked, secrets = decode(request.properties)
        inputs = plain(checked)
        if request.preview:
            return proto.CreateResponse(properties=encode(foreseen(handler.schema, handler.rules, inputs), secrets))
        with self.cloud.lock:
            aws = self._aws(request, inputs, context)
            id_, outputs = self._apply(
                "creating",
                handler.title(inputs),
                context,
                aws,
                handler,
                {},
                checked,
                secrets,
                lambda: handler.create(aws, inputs),
            )
        return proto.CreateResponse(id=id_, properties=encode(outputs, secrets))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        handler = self._handler(request.type, context)
        (state, secrets), (known, _) = decode(request.properties), decode(request.inputs)
        with self.cloud.lock:
            aws = self._aws(request, state, context)
            with _answering(context, f"reading {handler.label} ({request.id})"):
                outputs = handler.read(aws, request.id, state)
        if outputs is None:
            return proto.ReadResponse()
        inputs = _refreshed(known, outputs) if known else _imported(handler, outputs)
        return proto.ReadResponse(id=request.id, properties=encode(outputs, secrets), inputs=encode(inputs, secrets))

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        handler = self._handler(request.type, context)
        state, _ = decode(request.olds)
        checked, secrets = decode(request.news)
        inputs = plain(checked)
        if request.preview:
            expected = merged(handler.schema, handler.rules, state, inputs)
            changed = {_top_level(change.path) for change in _changes(handler, state, inputs)}
            for name, causes in handler.rules.recomputed.items():
                if changed & causes or (changed and not causes):
                    expected[name] = UNKNOWN
            return proto.UpdateResponse(properties=encode(expected, secrets))
        with self.cloud.lock:
            aws = self._aws(request, inputs, context)

            def apply() -> str:
                if _changes(handler, state, inputs):
                    handler.update(aws, request.id, state, inputs)
                return str(request.id)

            _, outputs = self._apply(
                "updating", f"{handler.label} ({request.id})", context, aws, handler, state, checked, secrets, apply
            )
        return proto.UpdateResponse(properties=encode(outputs, secrets))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        handler = self._handler(request.type, context)
        state, _ = decode(request.properties)
        with self.cloud.lock:
            aws = self._aws(request, state, context)
            with _answering(context, f"deleting {handler.label} ({request.id})"):
                aws.pass_by("delete", "before")
                handler.delete(aws, request.id, state)
                aws.pass_by("delete", "after")
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        function = FUNCTIONS.get(request.tok)
        if function is None:
            _refuse(context, f"{request.tok} is not served by the sandbox; it has {', '.join(sorted(FUNCTIONS))}")
        args, _ = decode(request.args)
        failures = list(shape_failures(function_schema(function.function), args))
        if failures:
            return proto.InvokeResponse(
                failures=[proto.CheckFailure(property=f.property, reason=f.reason) for f in failures]
            )
        region = args.get("region", self._config(context).region)
        with self.cloud.lock, _answering(context, f"invoking {request.tok}: reading {function.label}"):
            self.cloud.region(region)
            result = function.call(Aws(self.cloud, region, request.tok, peer=context.peer()), args)
        response = proto.InvokeResponse()
        getattr(response, "return").CopyFrom(encode(result))
        return response

    def _handler(self, token: str, context: grpc.ServicerContext) -> Handler:
        handler = self._handlers.get(token)
        if handler is None:
            _refuse(context, f"{token} is not served by the sandbox; it has {', '.join(sorted(self._handlers))}")
        return handler

    def _config(self, context: grpc.ServicerContext) -> ProviderConfig:
        config = self._configs.get(context.peer())
        if config is None:
            _refuse(context, "this provider was not configured; call Configure on the same connection first")
        return config

    def _aws(self, request: Any, props: Props, context: grpc.ServicerContext) -> Aws:
        region = props.get("region") or self._config(context).region
        try:
            self.cloud.region(region)
        except AwsError as error:
            _refuse(context, error.message)
        timeout = getattr(request, "timeout", 0)  # a Read has none
        return Aws(self.cloud, region, request.name, request.urn, context.peer(), timeout)

    def _apply(
        self,
        verb: str,
        title: str,
        context: grpc.ServicerContext,
        aws: Aws,
        handler: Handler,
        state: Props,
        checked: Props,
        secrets: Secrets,
        change: Callable[[], str],
    ) -> tuple[str, Props]:
        """Makes a change, reads it back as the real provider does, and tells the engine what was left by a failure."""
        step = "create" if verb == "creating" else "update"
        inputs = plain(checked)
        with _answering(context, f"{verb} {title}"):
            try:
                aws.pass_by(step, "before")
                id_ = change()
                with having_made(id_, f"reading {handler.label} ({id_})"):
                    outputs = handler.read(aws, id_, inputs)
                aws.pass_by(step, "after")
            except Incomplete as left:
                found = _read_if_possible(handler, aws, left.id, inputs)
                _refuse_incomplete(context, left, found or state or inputs, checked, secrets)
        if outputs is None:
            _refuse(context, f"{verb} {title}: it was not found afterwards")
        return id_, outputs


@contextmanager
def _answering(context: grpc.ServicerContext, what: str) -> Iterator[None]:
    """Ends the call with the service's refusal, as the real provider words it."""
    try:
        yield
    except AwsError as error:
        _refuse(context, f"1 error occurred:\n\t* {what}: {error}\n\n")
    except CallerGone:
        context.abort(grpc.StatusCode.CANCELLED, "the caller is gone")


def _read_if_possible(handler: Handler, aws: Aws, id_: str, known: Props) -> Props | None:
    try:
        return handler.read(aws, id_, known)
    except AwsError:
        return None


def _changes(handler: Handler, state: Props, inputs: Props) -> list[Change]:
    replacing = frozenset(handler.replacing(state, inputs))
    return changes(handler.schema, handler.rules, state, inputs, replacing)


def _deletes_first(handler: Handler, inputs: Props) -> bool:
    """The bridge deletes first what the program has named itself, because two of that name cannot exist."""
    autoname = handler.rules.autoname
    named = autoname is not None and autoname.property not in inputs.get("__defaults", [])
    return handler.rules.delete_before_replace or (named and not handler.rules.plugin_framework)


def _refreshed(known: Props, outputs: Props) -> Props:
    """The inputs with the cloud's values where the program had set something, as a refresh records them."""
    return {
        name: value if name == "__defaults" else _refreshed_value(value, outputs[name])
        for name, value in known.items()
        if name == "__defaults" or name in outputs
    }


def _refreshed_value(known: Any, actual: Any) -> Any:
    if isinstance(known, dict) and isinstance(actual, dict):
        return _refreshed(known, actual) if "__defaults" in known else actual
    if isinstance(known, list) and isinstance(actual, list) and len(known) == len(actual):
        return [_refreshed_value(*pair) for pair in zip(known, actual, strict=True)]
    return actual


def _imported(handler: Handler, outputs: Props) -> Props:
    inputs = {name: value for name, value in outputs.items() if name in handler.schema.inputs and value is not None}
    return {**inputs, "__defaults": []}


def _config_value(args: Mapping[str, Any], name: str) -> Any:
    """A provider setting; all but texts reach the engine as JSON."""
    value = args.get(name)
    if isinstance(value, str) and name != "region":
        return json.loads(value)
    return value


def _top_level(path: str) -> str:
    return path.split(".")[0].split("[")[0]


def _refuse(context: grpc.ServicerContext, message: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("abort does not return")


def _refuse_incomplete(
    context: grpc.ServicerContext, left: Incomplete, outputs: Props, inputs: Props, secrets: Secrets
) -> NoReturn:
    """Ends a call with an error that carries the half-made resource (`ErrorResourceInitFailed`)."""
    detail = any_pb2.Any()
    detail.Pack(
        proto.ErrorResourceInitFailed(
            id=left.id,
            properties=encode(outputs, secrets),
            reasons=[f"1 error occurred:\n\t* {left}\n\n"],
            inputs=encode(inputs, secrets),
        )
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(left), details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    _refuse(context, str(left))
