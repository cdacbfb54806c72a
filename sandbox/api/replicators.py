"""Replicators: in the Region of their target, and as a reference in the Region of their source."""

import copy
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from sandbox.api import replicator_rules as rules
from sandbox.api.account import ACCOUNT, SecurityGroup
from sandbox.api.context import (
    Handler,
    Msk,
    account_of,
    cluster_policy,
    fresh_arn,
    fresh_version,
    moment,
    now,
    page,
    region_of,
)
from sandbox.api.data_plane import ClusterUnavailable, DataPlane, ReplicatorSpec
from sandbox.api.errors import ServiceError, bad_request, conflict, not_found
from sandbox.api.model import Params
from sandbox.api.permissions import Flow
from sandbox.api.store import Record
from sandbox.api.topics import topic_names
from sandbox.api.work import Stopped

log = logging.getLogger("sandbox.api")

_DEFAULTS: Final = {
    "TopicReplication": {
        "CopyAccessControlListsForTopics": True,
        "CopyTopicConfigurations": True,
        "DetectAndCopyNewTopics": True,
        "StartingPosition": {"Type": "LATEST"},
        "TopicNameConfiguration": {"Type": "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS"},
    },
    "ConsumerGroupReplication": {
        "DetectAndCopyNewConsumerGroups": True,
        "SynchroniseConsumerGroupOffsets": True,
        "ConsumerGroupOffsetSyncMode": "LEGACY",
    },
}
"""What the service takes when nothing is said (API reference, 2026-09); it leaves the lists of exclusions away."""

_WATCH = 0.1


def create(msk: Msk, region: str, params: Params) -> Params:
    rules.check_shape(params, region, ACCOUNT)
    _check_log_delivery(params.get("LogDelivery", {}))
    replicators = msk.store.all("replicator", region)
    name = params["ReplicatorName"]
    if any(replicator["ReplicatorName"] == name for replicator in replicators):
        raise conflict("A resource with this name already exists.", "replicatorName")
    info = _with_defaults(params["ReplicationInfoList"][0])
    source_arn, target_arn = info["SourceKafkaClusterArn"], info["TargetKafkaClusterArn"]
    source, target = _cluster(msk, source_arn), _cluster(msk, target_arn)
    rules.check_clusters(source, target, info["TopicReplication"]["TopicNameConfiguration"]["Type"])
    rules.check_role(msk.account.role(params["ServiceExecutionRoleArn"]), params["ServiceExecutionRoleArn"], ACCOUNT)
    for entry in params["KafkaClusters"]:
        _check_vpc(msk, entry)
    for replicator in replicators:
        if (_info(replicator)["SourceKafkaClusterArn"], _info(replicator)["TargetKafkaClusterArn"]) == (
            source_arn,
            target_arn,
        ):
            # Told in a comment of AWS's sample only; the text is ours.
            raise conflict(f"The Replicator {replicator['ReplicatorName']} replicates from {source_arn} already.")
    if len(msk.store.all("replicator")) >= rules.MOST_REPLICATORS:
        raise bad_request(f"The account has {rules.MOST_REPLICATORS} Replicators already, which is the most.")
    arn = fresh_arn(region, "replicator", name)
    replicator = {
        "ReplicatorArn": arn,
        "ReplicatorName": name,
        "ReplicatorState": "CREATING",
        "CreationTime": now(),
        "CurrentVersion": fresh_version(),
        "KafkaClusters": params["KafkaClusters"],
        "ReplicationInfoList": [info],
        "ServiceExecutionRoleArn": params["ServiceExecutionRoleArn"],
        "Tags": params.get("Tags", {}),
        "ReplicatorDescription": params.get("Description", ""),
        **({"LogDelivery": params["LogDelivery"]} if "LogDelivery" in params else {}),
    }
    put_replicator(msk, replicator)
    resume(msk, replicator)
    return _state(replicator) | {"ReplicatorName": name}


def describe(msk: Msk, region: str, params: Params) -> Params:
    replicator, is_reference = find(msk, region, params["ReplicatorArn"])
    aliases = _aliases(replicator)
    described = {
        key: value
        for key, value in replicator.items()
        if key not in {"KafkaClusters", "ReplicationInfoList", "CreationTime"}
    }
    info = {key: value for key, value in _info(replicator).items() if not key.endswith("Arn")}
    return {
        **described,
        **_identity(replicator, is_reference),
        "KafkaClusters": [
            {**entry, "KafkaClusterAlias": aliases[entry["AmazonMskCluster"]["MskClusterArn"]]}
            for entry in replicator["KafkaClusters"]
        ],
        "ReplicationInfoList": [{**info, **_flow_aliases(replicator)}],
    }


def list_all(msk: Msk, region: str, params: Params) -> Params:
    prefix = params.get("ReplicatorNameFilter", "")
    found = [
        (replicator, region_of(replicator["ReplicatorArn"]) != region)
        for replicator in msk.store.all("replicator")
        if region in {region_of(replicator["ReplicatorArn"]), region_of(_info(replicator)["SourceKafkaClusterArn"])}
        and replicator["ReplicatorName"].startswith(prefix)
    ]
    chosen, more = page(found, lambda item: f"{item[0]['ReplicatorName']}/{item[0]['ReplicatorArn']}", params)
    return {"Replicators": [_summary(replicator, reference) for replicator, reference in chosen], **more}


def update(msk: Msk, region: str, params: Params) -> Params:
    replicator = find_owned(msk, region, params["ReplicatorArn"])
    if replicator["ReplicatorState"] != "RUNNING":
        raise bad_request(f"You can't update a replicator in {replicator['ReplicatorState']} state.")
    _check_version(replicator, params["CurrentVersion"])
    changes = {
        key: params[key] for key in ("TopicReplication", "ConsumerGroupReplication", "LogDelivery") if key in params
    }
    if not changes:
        raise bad_request("The request does not include any updates to the replicator.")
    info = _info(replicator)
    for key in ("SourceKafkaClusterArn", "TargetKafkaClusterArn"):
        if key in params and params[key] != info[key]:
            raise bad_request(f"{key} is {params[key]}; a replicator stays with its clusters.", key)
    rules.check_patterns(changes.get("TopicReplication", {}), changes.get("ConsumerGroupReplication", {}))
    _check_log_delivery(changes.get("LogDelivery", {}))
    for key, value in changes.items():
        if key == "LogDelivery":
            replicator[key] = value
        else:
            info[key] |= value
    replicator["ReplicatorState"] = "UPDATING"
    put_replicator(msk, replicator)
    resume(msk, replicator)
    return _state(replicator)


def delete(msk: Msk, region: str, params: Params) -> Params:
    replicator = find_owned(msk, region, params["ReplicatorArn"])
    if replicator["ReplicatorState"] not in {"RUNNING", "FAILED"}:
        raise bad_request(f"You can't delete a replicator in {replicator['ReplicatorState']} state.")
    _check_version(replicator, params.get("CurrentVersion", replicator["CurrentVersion"]))
    replicator["ReplicatorState"] = "DELETING"
    put_replicator(msk, replicator)
    resume(msk, replicator)
    return _state(replicator)


OPERATIONS: Final[Mapping[str, Handler]] = {
    "CreateReplicator": create,
    "DescribeReplicator": describe,
    "ListReplicators": list_all,
    "UpdateReplicationInfo": update,
    "DeleteReplicator": delete,
}


def find(msk: Msk, region: str, arn: str) -> tuple[Record, bool]:
    """The Replicator that an ARN of this Region means, and whether it only is a reference here."""
    if replicator := msk.store.get("replicator", region, arn):
        return replicator, False
    for replicator in msk.store.all("replicator"):
        source = region_of(_info(replicator)["SourceKafkaClusterArn"])
        if source == region and reference_arn(replicator) == arn:
            return replicator, True
    raise not_found(f"The replicator {arn} does not exist in {region}.", "replicatorArn")


def find_owned(msk: Msk, region: str, arn: str) -> Record:
    """The Replicator if it lives in this Region; references take no changes."""
    replicator, is_reference = find(msk, region, arn)
    if is_reference:
        raise bad_request(
            f"{arn} is a reference; use {replicator['ReplicatorArn']} in its own Region.", "replicatorArn"
        )
    return replicator


def put_replicator(msk: Msk, replicator: Record) -> None:
    msk.store.put("replicator", region_of(replicator["ReplicatorArn"]), replicator["ReplicatorArn"], replicator)


def reference_arn(replicator: Record) -> str:
    """The ARN under which the source's Region knows a Replicator of another one."""
    arn: str = replicator["ReplicatorArn"]
    return arn.replace(f":{region_of(arn)}:", f":{region_of(_info(replicator)['SourceKafkaClusterArn'])}:", 1)


def resume(msk: Msk, replicator: Record) -> None:
    """Does what is still to be done to a Replicator that is being created, updated or deleted."""
    arn, state = replicator["ReplicatorArn"], replicator["ReplicatorState"]
    steps = {
        "CREATING": (msk.timing.create, _finish_creation),
        "UPDATING": (msk.timing.update, _finish_update),
        "DELETING": (msk.timing.delete, _finish_deletion),
    }
    if state in steps:
        seconds, step = steps[state]
        msk.work.after(seconds, region_of(arn), partial(step, msk, arn))


def start_copying(msk: Msk, replicator: Record) -> None:
    """Brings up the real process of a Replicator that runs, after a restart."""
    if msk.data_plane is not None:
        msk.data_plane.start_replicator(replicator["ReplicatorArn"], spec(replicator))


def spec(replicator: Record) -> ReplicatorSpec:
    """What the data plane has to do."""
    info, aliases = _info(replicator), _flow_aliases(replicator)
    topics, groups = info["TopicReplication"], info["ConsumerGroupReplication"]
    return ReplicatorSpec(
        name=replicator["ReplicatorName"],
        region=region_of(replicator["ReplicatorArn"]),
        source_arn=info["SourceKafkaClusterArn"],
        target_arn=info["TargetKafkaClusterArn"],
        source_alias=aliases["SourceKafkaClusterAlias"],
        target_alias=aliases["TargetKafkaClusterAlias"],
        topics=tuple(topics["TopicsToReplicate"]),
        topics_exclude=tuple(topics.get("TopicsToExclude", ())),
        groups=tuple(groups["ConsumerGroupsToReplicate"]),
        groups_exclude=tuple(groups.get("ConsumerGroupsToExclude", ())),
        starting_position=topics["StartingPosition"]["Type"],
        topic_names=topics["TopicNameConfiguration"]["Type"],
        offset_sync_mode=groups["ConsumerGroupOffsetSyncMode"],
        sync_group_offsets=groups["SynchroniseConsumerGroupOffsets"],
        detect_new_topics=topics["DetectAndCopyNewTopics"],
        detect_new_groups=groups["DetectAndCopyNewConsumerGroups"],
        copy_topic_configurations=topics["CopyTopicConfigurations"],
        compression=info["TargetCompressionType"],
    )


def _finish_creation(msk: Msk, arn: str) -> None:
    replicator = find_owned(msk, region_of(arn), arn)
    try:
        failure = _why_not(msk, replicator)
    except Exception as error:
        log.exception("replicator %s cannot be judged", arn)
        failure = _internal(error)
    if failure is None and msk.data_plane is not None:
        failure = _run(msk, msk.data_plane, arn, partial(msk.data_plane.start_replicator, arn, spec(replicator)))
    _settle(msk, arn, failure)


def _finish_update(msk: Msk, arn: str) -> None:
    replicator = find_owned(msk, region_of(arn), arn)
    failure = None
    if msk.data_plane is not None:
        failure = _run(msk, msk.data_plane, arn, partial(msk.data_plane.update_replicator, arn, spec(replicator)))
    _settle(msk, arn, failure)


def _finish_deletion(msk: Msk, arn: str) -> None:
    try:
        if msk.data_plane is not None:
            msk.data_plane.delete_replicator(arn)
    except Exception as error:
        log.exception("replicator %s cannot be deleted", arn)
        _settle(msk, arn, _internal(error))
    else:
        msk.store.remove("replicator", region_of(arn), arn)


def _run(msk: Msk, plane: DataPlane, arn: str, begin: Callable[[], None]) -> rules.Failure | None:
    """Has the data plane begin, and waits until it really copies."""
    deadline = time.monotonic() + msk.timing.give_up
    try:
        begin()
        while True:
            try:
                state, message = plane.replicator_state(arn)
            except ClusterUnavailable as error:  # its Region has failed meanwhile
                state, message = "CREATING", str(error)
            if state == "RUNNING":
                return None
            if state == "FAILED":
                return rules.Failure(code="REPLICATOR_FAILED", message=message)
            if time.monotonic() > deadline:
                return rules.Failure(code="TIMED_OUT", message=f"Not running after {msk.timing.give_up:g} s. {message}")
            msk.work.wait(_WATCH, region_of(arn))
    except Stopped:
        raise
    except Exception as error:
        log.exception("replicator %s does not come up", arn)
        return _internal(error)


def _internal(error: Exception) -> rules.Failure:
    return rules.Failure(code="INTERNAL_FAILURE", message=str(error))


def _settle(msk: Msk, arn: str, failure: rules.Failure | None) -> None:
    """The end of a creation or an update."""
    with msk.store.transaction():
        replicator = find_owned(msk, region_of(arn), arn)
        replicator |= {"ReplicatorState": "FAILED" if failure else "RUNNING", "CurrentVersion": fresh_version()}
        if failure:
            replicator["StateInfo"] = {"Code": failure.code, "Message": failure.message}
        put_replicator(msk, replicator)


def _why_not(msk: Msk, replicator: Record) -> rules.Failure | None:
    info = _info(replicator)
    source_arn, target_arn = info["SourceKafkaClusterArn"], info["TargetKafkaClusterArn"]
    source_region, target_region = region_of(source_arn), region_of(target_arn)
    source = msk.store.get("cluster", source_region, source_arn)
    target = msk.store.get("cluster", target_region, target_arn)
    if source is None or target is None or msk.is_down(source_region):
        gone = target_arn if target is None else source_arn
        return rules.Failure(code="CLUSTER_NOT_REACHABLE", message=f"The cluster {gone} cannot be reached.")
    role = msk.account.role(replicator["ServiceExecutionRoleArn"])
    if role is None:
        message = f"The service execution role {replicator['ServiceExecutionRoleArn']} does not exist."
        return rules.Failure(code="ROLE_NOT_FOUND", message=message)
    topics, groups = info["TopicReplication"], info["ConsumerGroupReplication"]
    flow = Flow(
        name=replicator["ReplicatorName"],
        source_arn=source_arn,
        target_arn=target_arn,
        topics=_chosen(topics["TopicsToReplicate"], topics.get("TopicsToExclude", []), topic_names(msk, source)),
        groups=_chosen(groups["ConsumerGroupsToReplicate"], groups.get("ConsumerGroupsToExclude", []), []),
        copy_topic_configurations=topics["CopyTopicConfigurations"],
        copy_acls=topics["CopyAccessControlListsForTopics"],
    )
    return rules.why_not(
        rules.Side(cluster=source, policy=cluster_policy(msk, source_arn), groups=_groups_of(msk, source)),
        rules.Side(cluster=target, policy=cluster_policy(msk, target_arn), groups=_groups_of(msk, target)),
        _door(msk, replicator, target_arn),
        role,
        flow,
    )


def _chosen(patterns: Sequence[str], excluded: Sequence[str], names: Iterable[str]) -> list[str]:
    """The names that are there and match, and those that the patterns spell out."""
    literal = [pattern for pattern in patterns if re.fullmatch(r"[\w-]+", pattern)]
    candidates = dict.fromkeys([*names, *literal])
    return [
        name
        for name in candidates
        if any(re.fullmatch(pattern, name) for pattern in patterns)
        and not any(re.fullmatch(pattern, name) for pattern in excluded)
        and not name.startswith("__")
    ]


def _door(msk: Msk, replicator: Record, target_arn: str) -> rules.Door:
    """Where the Replicator comes from; without security groups it gets its network's default one."""
    region = region_of(target_arn)
    config = next(
        entry["VpcConfig"]
        for entry in replicator["KafkaClusters"]
        if entry["AmazonMskCluster"]["MskClusterArn"] == target_arn
    )
    subnets = [subnet for id_ in config["SubnetIds"] if (subnet := msk.account.subnet(region, id_))]
    groups = [group for id_ in config.get("SecurityGroupIds", []) if (group := msk.account.security_group(region, id_))]
    if not config.get("SecurityGroupIds") and subnets:
        default = msk.account.default_security_group(region, subnets[0].vpc_id)
        groups = [default] if default else []
    return rules.Door(groups=groups, cidrs=tuple(subnet.cidr for subnet in subnets))


def _groups_of(msk: Msk, cluster: Record) -> list[SecurityGroup]:
    region = region_of(cluster["ClusterArn"])
    ids = cluster["Provisioned"]["BrokerNodeGroupInfo"]["SecurityGroups"]
    return [group for id_ in ids if (group := msk.account.security_group(region, id_))]


def _check_vpc(msk: Msk, entry: Params) -> None:
    """The network of an entry must be there, in its cluster's Region."""
    region = region_of(entry["AmazonMskCluster"]["MskClusterArn"])
    for id_ in entry["VpcConfig"]["SubnetIds"]:
        if msk.account.subnet(region, id_) is None:
            raise bad_request(f"subnetIds has {id_}; it does not exist in {region}.", "subnetIds")
    for id_ in entry["VpcConfig"].get("SecurityGroupIds", []):
        if msk.account.security_group(region, id_) is None:
            raise bad_request(f"securityGroupIds has {id_}; it does not exist in {region}.", "securityGroupIds")


def _check_log_delivery(delivery: Params) -> None:
    destinations = delivery.get("ReplicatorLogDelivery", {})
    for destination, name in (("CloudWatchLogs", "LogGroup"), ("Firehose", "DeliveryStream"), ("S3", "Bucket")):
        settings = destinations.get(destination, {})
        if settings.get("Enabled") and not settings.get(name):
            raise bad_request(f"{name} is missing; {destination} is enabled in logDelivery.", "logDelivery")


def _check_version(replicator: Record, version: str | None) -> None:
    if version != replicator["CurrentVersion"]:
        raise bad_request(
            "The version of the replicator isn't current. Check the current version and try again.", "currentVersion"
        )


def _cluster(msk: Msk, arn: str) -> Record:
    if account_of(arn) != ACCOUNT:
        raise ServiceError("ForbiddenException", f"Access denied on kafka:GetBootstrapBrokers for {arn}.")
    cluster = msk.store.get("cluster", region_of(arn), arn)
    if cluster is None:
        raise not_found(f"The cluster {arn} does not exist.", "kafkaClusters")
    return cluster


def _with_defaults(info: Params) -> Params:
    full = copy.deepcopy(info)
    for key, defaults in _DEFAULTS.items():
        full[key] = copy.deepcopy(defaults) | full[key]
    return full


def _info(replicator: Record) -> Params:
    info: Params = replicator["ReplicationInfoList"][0]
    return info


def _aliases(replicator: Record) -> dict[str, str]:
    """The clusters' names in metrics and in prefixes, which the service makes up: name and a piece of the UUID."""
    arns = [entry["AmazonMskCluster"]["MskClusterArn"] for entry in replicator["KafkaClusters"]]
    return {arn: "-".join([arn.split("/")[1], arn.split("/")[2][:6]]) for arn in arns}


def _flow_aliases(replicator: Record) -> dict[str, str]:
    aliases, info = _aliases(replicator), _info(replicator)
    return {
        "SourceKafkaClusterAlias": aliases[info["SourceKafkaClusterArn"]],
        "TargetKafkaClusterAlias": aliases[info["TargetKafkaClusterArn"]],
    }


def _identity(replicator: Record, is_reference: bool) -> Params:
    return {
        "ReplicatorArn": reference_arn(replicator) if is_reference else replicator["ReplicatorArn"],
        "ReplicatorResourceArn": replicator["ReplicatorArn"],
        "IsReplicatorReference": is_reference,
        "CreationTime": moment(replicator["CreationTime"]),
    }


def _summary(replicator: Record, is_reference: bool) -> Params:
    aliases = _aliases(replicator)
    return {
        **_identity(replicator, is_reference),
        "ReplicatorName": replicator["ReplicatorName"],
        "ReplicatorState": replicator["ReplicatorState"],
        "CurrentVersion": replicator["CurrentVersion"],
        "KafkaClustersSummary": [
            {"AmazonMskCluster": {"MskClusterArn": arn}, "KafkaClusterAlias": alias} for arn, alias in aliases.items()
        ],
        "ReplicationInfoSummaryList": [_flow_aliases(replicator)],
    }


def _state(replicator: Record) -> Params:
    return {key: replicator[key] for key in ("ReplicatorArn", "ReplicatorState")}
