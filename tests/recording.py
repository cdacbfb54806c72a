"""The program under Pulumi's mocks: what it registers, exports and warns of, as plain values.

`run_program("secondary", "bidirectional", brokerCount=6)` runs `__main__.py` itself with the configuration that the
engine would hand it: defaults of `Pulumi.yaml`, the stack file, what the caller sets. The other stack's outputs are the
exports of its own run, so that the two cannot drift apart.

The mock is strict: a resource type or function that it has no answer for, and a second resource of the same URN, fail
the run. What it cannot prove is that the provider or AWS takes the inputs, and how unknown values behave at preview.
"""

import asyncio
import atexit
import contextvars
import dataclasses
import functools
import gc
import hashlib
import json
import logging
import runpy
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pulumi
import yaml
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import Mocks, mocks, set_mocks
from pulumi.runtime.rpc import is_rpc_secret, unwrap_rpc_secret
from pulumi.runtime.sync_await import _sync_await

from config import Settings, load

ROOT: Final = Path(__file__).resolve().parents[1]
PROJECT: Final = "msk-dr"
ACCOUNT: Final = "123456789012"
STACKS: Final = ("primary", "secondary")
DIRECTIONS: Final = ("primary-to-secondary", "bidirectional", "secondary-to-primary")

EVERYTHING: Final[Mapping[str, Any]] = {
    "scram": True,
    "mtlsCertificateAuthorityArns": [f"arn:aws:acm-pca:us-east-1:{ACCOUNT}:certificate-authority/1b2c"],
    "clientCidrs": ["10.50.0.0/16", "100.64.0.0/10"],
    "topics": [
        {"name": "orders", "partitions": 6, "configs": {"retention.ms": 86_400_000, "cleanup.policy": "delete"}},
        {"name": "payments.v1_eu-1", "partitions": 1},
    ],
    "topicsToReplicate": ["orders-.*", "payments"],
    "topicsToExclude": ["orders-test"],
    "consumerGroupsToReplicate": ["billing-.*"],
    "consumerGroupsToExclude": ["billing-test"],
    "copyTopicConfigurations": False,
    "copyTopicAcls": True,
    "alarmEmail": "on-call@example.org",
    "tags": {"team": "data"},
}
"""A configuration in which every part of the program is there."""

ZONE_IDS: Final = {
    "us-east-1": [f"use1-az{n}" for n in (6, 4, 3, 2, 1, 5)],
    "us-east-2": [f"use2-az{n}" for n in (2, 1, 3)],
}
"""Zone ids in no order of their own, as the service returns them; us-east-1 has one that Express brokers refuse."""

# It repeats, when the process ends, errors that a run has already raised.
logging.getLogger("asyncio").setLevel(logging.CRITICAL)


LOOP: Final = asyncio.new_event_loop()
atexit.register(LOOP.close)
WORKER: Final = ThreadPoolExecutor(1, "program", initializer=asyncio.set_event_loop, initargs=(LOOP,))
"""Where programs run: Pulumi looks at every frame of the stack for each resource, and a test's stack is deep."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One registration, as the engine receives it. The inputs' names are the provider's (camelCase), secrets plain.

    Recordings are shared between tests: copy `inputs` before changing them.
    """

    typ: str
    name: str
    urn: str
    id: str
    inputs: Mapping[str, Any]
    parent: str
    """URN of the parent."""
    dependencies: frozenset[str]
    """URNs that the resource waits for, whether named in `depends_on` or found in its inputs."""
    protect: bool = False
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    replacement_trigger: Any = None
    delete_before_replace: bool = False
    timeouts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    hooks: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    provider: str = ""

    @property
    def kind(self) -> str:
        """The type in short: `msk.Cluster` for `aws:msk/cluster:Cluster`, `Network` for `msk-dr:index:Network`."""
        package, module, name = self.typ.split(":")
        return name if package != "aws" else f"{module.split('/')[0]}.{name}"

    @property
    def parent_kind(self) -> str:
        """The parent's type without its package, for example `Network`; `Stack` at the top."""
        return self.parent.split("::")[2].split("$")[-1].split(":")[-1]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run of the program left behind."""

    stack: str
    region: str
    resources: tuple[Resource, ...]
    exports: Mapping[str, Any]
    warnings: tuple[str, ...]
    calls: tuple[tuple[str, Mapping[str, Any]], ...]
    """Functions that were called, with their arguments."""
    reads: tuple[str, ...]
    """Full names of the stacks whose outputs were read."""

    def of(self, kind: str) -> list[Resource]:
        """Every resource of a kind, such as `msk.Cluster`, in the order of their names."""
        return sorted((r for r in self.resources if r.kind == kind), key=lambda r: r.name)

    def one(self, kind: str, name: str | None = None) -> Resource:
        """The only resource of a kind, or the one of that kind and logical name."""
        found = [r for r in self.of(kind) if name in (None, r.name)]
        assert len(found) == 1, f"{len(found)} resources {kind} {name or ''}: {[r.name for r in self.of(kind)]}"
        return found[0]

    def children_of(self, component: str) -> list[Resource]:
        return [r for r in self.resources if r.parent_kind == component]

    def kinds(self) -> Counter[str]:
        return Counter(r.kind for r in self.resources)

    def waits_for(self, resource: Resource, other: Resource) -> bool:
        """Whether a resource waits for another one, if need be by way of others or of a component's children."""
        seen: set[str] = set()
        todo = [resource.urn]
        waiting_for = {r.urn: r.dependencies for r in self.resources}
        while todo:
            urn = todo.pop()
            if urn not in seen:
                seen.add(urn)
                todo += waiting_for.get(urn, ())
        return other.urn in seen - {resource.urn}


def run_program(
    stack: str,
    direction: str = "primary-to-secondary",
    *,
    region: str | None = None,
    peer_direction: str | None = None,
    peer_outputs: Mapping[str, Any] | None = None,
    **config: Any,
) -> Run:
    """The program's run for a stack. `config` holds keys of `Pulumi.yaml` with plain values; None unsets a key.

    The other stack is up and has the same direction, unless `peer_direction` says otherwise; `peer_outputs` replaces
    its outputs altogether ({}: never deployed), and saves its run. Equal calls share one run. Raises what the program
    raises.
    """
    if peer_outputs is None:
        peer_outputs = {**_exports_of(_other(stack)), "direction": peer_direction or direction}
    values = stack_config(stack, {"direction": direction, **config}, region)
    return _run_program(stack, json.dumps(values, sort_keys=True), json.dumps(peer_outputs, sort_keys=True))


@functools.cache
def _run_program(stack: str, config: str, peer_outputs: str) -> Run:
    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

    return record(program, stack, json.loads(config), json.loads(peer_outputs))


@functools.cache
def _exports_of(stack: str) -> Mapping[str, Any]:
    """What a stack exports after its first deployment, by its own run."""
    config = stack_config(stack, {"direction": "primary-to-secondary"})
    peer = {} if stack == "primary" else dict(_exports_of("primary"))
    return _run_program(stack, json.dumps(config, sort_keys=True), json.dumps(peer, sort_keys=True)).exports


def _other(stack: str) -> str:
    return STACKS[1 - STACKS.index(stack)]


@functools.cache
def project() -> Mapping[str, Any]:
    """`Pulumi.yaml`."""
    loaded: dict[str, Any] = yaml.load((ROOT / "Pulumi.yaml").read_text(), yaml.CSafeLoader)
    return loaded


@functools.cache
def stack_file(stack: str) -> Mapping[str, Any]:
    """The configuration in `Pulumi.<stack>.yaml`."""
    loaded: dict[str, Any] = yaml.load((ROOT / f"Pulumi.{stack}.yaml").read_text(), yaml.CSafeLoader)["config"]
    return loaded


def stack_config(stack: str, overrides: Mapping[str, Any], region: str | None = None) -> dict[str, str]:
    """A stack's configuration as the engine hands it to the program: text, JSON where it is no text."""
    values = {f"{PROJECT}:{key}": entry["default"] for key, entry in project()["config"].items() if "default" in entry}
    values |= stack_file(stack)
    values |= {key if ":" in key else f"{PROJECT}:{key}": value for key, value in overrides.items()}
    values |= {"aws:region": region} if region else {}
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in values.items()
        if value is not None
    }


def settings_of(
    stack: str, direction: str = "primary-to-secondary", *, region: str | None = None, **config: Any
) -> Settings:
    """The settings that the program reads, as in `run_program`. Raises ConfigError with every mistake."""
    values = stack_config(stack, {"direction": direction, **config}, region)

    def read() -> Settings:
        pulumi.runtime.set_all_config(values)
        set_mocks(_Refusing(), project=PROJECT, stack=stack, organization="organization")
        return load()

    return contextvars.Context().run(read)


def record(
    program: Callable[[], object],
    stack: str = "primary",
    config: Mapping[str, str] | None = None,
    peer_outputs: Mapping[str, Any] | None = None,
) -> Run:
    """What a function registers when it is run as a Pulumi program, in a context of its own.

    Contexts keep runs apart: the runtime holds its configuration, its root resource and its settings in context
    variables, and a second `set_mocks` in the same context would go on using the first root.
    """
    config = stack_config(stack, {}) if config is None else config
    region = config.get("aws:region", "us-east-1")
    context = contextvars.Context()
    return WORKER.submit(context.run, _record, program, stack, region, config, peer_outputs or {}).result()


def _record(
    program: Callable[[], object],
    stack: str,
    region: str,
    config: Mapping[str, str],
    peer_outputs: Mapping[str, Any],
) -> Run:
    answers = _Answers(region, peer_outputs)
    monitor = _Monitor(answers)
    log = _Warnings()
    logger = logging.Logger("program")
    logger.addHandler(log)
    pulumi.runtime.set_all_config(dict(config))
    set_mocks(answers, project=PROJECT, stack=stack, organization="organization", monitor=monitor, logger=logger)
    try:
        # The decorator waits for everything that the program started, and raises what went wrong in it.
        pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
    finally:
        gc.unfreeze()  # the program freezes what it finds, for it expects to be alone
    root = pulumi.runtime.get_root_resource()
    exports = {name: _plain(value) for name, value in getattr(root, "outputs", {}).items()}
    return Run(
        stack=stack,
        region=region,
        resources=tuple(monitor.recorded),
        exports=exports,
        warnings=tuple(log.messages),
        calls=tuple(answers.calls),
        reads=tuple(answers.reads),
    )


def _plain(value: Any) -> Any:
    return _sync_await(pulumi.Output.from_input(value).future())


class _Warnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


class _Refusing(Mocks):
    """Mocks for code that must register nothing and call nothing."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        raise AssertionError(f"{args.typ} {args.name} was registered")

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        raise AssertionError(f"{args.token} was called")


class _Monitor(mocks.MockMonitor):
    """Records registrations with their options, which mocks are not shown, under the URNs that the engine gives."""

    def __init__(self, answers: "_Answers") -> None:
        super().__init__(answers)
        self.recorded: list[Resource] = []
        self._claimed: set[str] = set()
        self._claiming = threading.Lock()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        parent_type = parent.split("::")[2] if parent else ""
        if parent_type not in ("", "pulumi:pulumi:Stack"):
            type_ = f"{parent_type}${type_}"
        return f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{type_}::{name}"

    def RegisterResource(self, request: Any) -> Any:
        response = self._once(request, super().RegisterResource)
        if request.type != "pulumi:pulumi:Stack":
            self.recorded.append(_recorded(request, response.urn, self.resources[response.urn].id))
        return response

    def ReadResource(self, request: Any) -> Any:
        return self._once(request, super().ReadResource)

    def _once(self, request: Any, register: Callable[[Any], Any]) -> Any:
        urn = self.make_urn(request.parent, request.type, request.name)
        with self._claiming:  # requests come from several threads
            assert urn not in self._claimed, f"two resources have the URN {urn}"
            self._claimed.add(urn)
        return register(request)


def _recorded(request: Any, urn: str, id_: str) -> Resource:
    timeouts = request.customTimeouts
    return Resource(
        typ=request.type,
        name=request.name,
        urn=urn,
        id=id_,
        inputs=_unwrapped(pulumi.runtime.rpc.deserialize_properties(request.object)),
        parent=request.parent,
        dependencies=frozenset(request.dependencies),
        protect=request.protect,
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
        replacement_trigger=MessageToDict(request.replacement_trigger),
        delete_before_replace=request.deleteBeforeReplace,
        timeouts={phase: value for phase in ("create", "update", "delete") if (value := getattr(timeouts, phase))},
        hooks={field.name: tuple(names) for field, names in request.hooks.ListFields()},
        provider=request.provider,
    )


def _unwrapped(value: Any) -> Any:
    """A value without the marks of secrets, at any depth, and with whole numbers as such."""
    if is_rpc_secret(value):
        return _unwrapped(unwrap_rpc_secret(value))
    if isinstance(value, Mapping):
        return {key: _unwrapped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unwrapped(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class _Answers(Mocks):
    """What AWS would say: for each resource type the outputs that it computes, for each function its result."""

    def __init__(self, region: str, peer_outputs: Mapping[str, Any]) -> None:
        self.region = region
        self.peer_outputs = peer_outputs
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.reads: list[str] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        if args.typ.startswith(f"{PROJECT}:index:"):
            return "", {}
        if args.typ == "pulumi:pulumi:StackReference":
            self.reads.append(args.inputs["name"])
            return args.name, {"name": args.name, "outputs": dict(self.peer_outputs), "secretOutputNames": []}
        if args.typ not in COMPUTED:
            raise AssertionError(f"the mock knows no {args.typ}; add to COMPUTED what the provider computes for it")
        inputs = _unwrapped(args.inputs)
        computed = COMPUTED[args.typ](Made(name=args.name, inputs=inputs, region=self.region))
        return computed.pop("id"), {**args.inputs, **computed}

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        self.calls.append((args.token, args.args))
        if args.token not in FUNCTIONS:
            raise AssertionError(f"the mock knows no {args.token}; add its result to FUNCTIONS")
        return FUNCTIONS[args.token](self.region, args.args)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A resource that AWS is asked to make."""

    name: str
    inputs: Mapping[str, Any]
    region: str

    def hex(self, length: int) -> str:
        """Hex digits of its own, the same in every run."""
        return hashlib.sha256(f"{self.region}/{self.name}".encode()).hexdigest()[:length]

    @property
    def uuid(self) -> str:
        text = self.hex(32)
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:], "7"))

    def arn(self, service: str, rest: str, *, region: str | None = None) -> str:
        return f"arn:aws:{service}:{self.region if region is None else region}:{ACCOUNT}:{rest}"

    @property
    def auto_name(self) -> str:
        given: str = self.inputs.get("name") or f"{self.name}-{self.hex(7)}"
        return given


def _ec2(prefix: str, **more: str) -> Callable[[Made], dict[str, Any]]:
    """Outputs of an EC2 resource: an id with the service's prefix, and `more` ids by their prefixes."""

    def outputs(made: Made) -> dict[str, Any]:
        return {"id": f"{prefix}-{made.hex(17)}"} | {key: f"{p}-{made.hex(17)}" for key, p in more.items()}

    return outputs


def _role(made: Made) -> dict[str, Any]:
    name = made.auto_name
    return {"id": name, "name": name, "arn": made.arn("iam", f"role/{name}", region="")}


def _instance_profile(made: Made) -> dict[str, Any]:
    name = made.auto_name
    return {"id": name, "name": name, "arn": made.arn("iam", f"instance-profile/{name}", region="")}


def _named(service: str, prefix: str, key: str = "name") -> Callable[[Made], dict[str, Any]]:
    """Outputs of a resource that is found by its name."""

    def outputs(made: Made) -> dict[str, Any]:
        name = made.inputs[key]
        return {"id": name, key: name, "arn": made.arn(service, f"{prefix}{name}")}

    return outputs


def _key(made: Made) -> dict[str, Any]:
    return {"id": made.uuid, "keyId": made.uuid, "arn": made.arn("kms", f"key/{made.uuid}")}


def _sns_topic(made: Made) -> dict[str, Any]:
    arn = made.arn("sns", made.inputs["name"])
    return {"id": arn, "arn": arn}


def _cluster(made: Made) -> dict[str, Any]:
    name = made.inputs["clusterName"]
    arn = made.arn("kafka", f"cluster/{name}/{made.uuid}")
    host = f"{name.replace('-', '')}.{made.hex(6)}.c7.kafka.{made.region}.amazonaws.com"
    brokers = range(1, 4)
    return {
        "id": arn,
        "arn": arn,
        "clusterUuid": made.uuid,
        "bootstrapBrokersSaslIam": ",".join(f"b-{n}.{host}:9098" for n in brokers),
        "bootstrapBrokersVpcConnectivitySaslIam": ",".join(f"b-{n}.iam.{host}:{14000 + n}" for n in brokers),
    }


def _replicator(made: Made) -> dict[str, Any]:
    arn = made.arn("kafka", f"replicator/{made.inputs['replicatorName']}/{made.uuid}")
    info = made.inputs["replicationInfoList"]
    aliases = {
        f"{side}KafkaClusterAlias": f"alias-of-{info[f'{side}KafkaClusterArn'].split('/')[1]}"
        for side in ("source", "target")
    }
    return {"id": arn, "arn": arn, "replicationInfoList": {**info, **aliases}}


def _plain_id(*keys: str) -> Callable[[Made], dict[str, Any]]:
    """Outputs of a resource whose id is made of inputs and which computes nothing else that matters."""

    def outputs(made: Made) -> dict[str, Any]:
        return {"id": ":".join(str(made.inputs[key]) for key in keys)}

    return outputs


COMPUTED: Final[Mapping[str, Callable[[Made], dict[str, Any]]]] = {
    "aws:ec2/vpc:Vpc": _ec2("vpc", mainRouteTableId="rtb"),
    "aws:ec2/subnet:Subnet": _ec2("subnet"),
    "aws:ec2/internetGateway:InternetGateway": _ec2("igw"),
    "aws:ec2/routeTable:RouteTable": _ec2("rtb"),
    "aws:ec2/route:Route": _ec2("r"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _ec2("rtbassoc"),
    "aws:ec2/securityGroup:SecurityGroup": _ec2("sg"),
    "aws:ec2/instance:Instance": _ec2("i"),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ec2("sgr"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _ec2("sgr"),
    "aws:iam/role:Role": _role,
    "aws:iam/rolePolicy:RolePolicy": lambda made: {"id": f"{made.inputs['role']}:{made.auto_name}"},
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _plain_id("role", "policyArn"),
    "aws:iam/instanceProfile:InstanceProfile": _instance_profile,
    "aws:kms/key:Key": _key,
    "aws:kms/alias:Alias": _named("kms", ""),
    "aws:cloudwatch/logGroup:LogGroup": _named("logs", "log-group:"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": _named("cloudwatch", "alarm:"),
    "aws:cloudwatch/dashboard:Dashboard": _named("cloudwatch", "dashboard/", "dashboardName"),
    "aws:sns/topic:Topic": _sns_topic,
    "aws:sns/topicSubscription:TopicSubscription": _plain_id("topic", "endpoint"),
    "aws:msk/cluster:Cluster": _cluster,
    "aws:msk/clusterPolicy:ClusterPolicy": _plain_id("clusterArn"),
    "aws:msk/replicator:Replicator": _replicator,
    "aws:msk/topic:Topic": _plain_id("clusterArn", "name"),
}
"""For each resource type what the provider adds to its inputs. A type that is not here fails the run."""


def _zones(region: str, args: Mapping[str, Any]) -> dict[str, Any]:
    excluded: Iterable[str] = args.get("excludeZoneIds") or []
    return {"zoneIds": [zone for zone in ZONE_IDS[region] if zone not in excluded]}


FUNCTIONS: Final[Mapping[str, Callable[[str, Mapping[str, Any]], dict[str, Any]]]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": lambda region, args: {"accountId": ACCOUNT},
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:ssm/getParameter:getParameter": lambda region, args: {"name": args["name"], "value": f"ami-of-{region}"},
}
"""For each function its result. A function that is not here fails the run."""
