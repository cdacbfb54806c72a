"""Amazon MSK as a whole: from a request to an answer, every step against the service's own model."""

import json
import logging
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, Final

from sandbox.api import clusters, model, policies, replicators, topics, updates
from sandbox.api.account import REGIONS
from sandbox.api.context import Handler, Msk, region_of
from sandbox.api.errors import ServiceError, ShapeError, bad_request

log = logging.getLogger("sandbox.api")

OPERATIONS: Final[Mapping[str, Handler]] = {
    **clusters.OPERATIONS,
    **updates.OPERATIONS,
    **policies.OPERATIONS,
    **replicators.OPERATIONS,
    **topics.OPERATIONS,
}
"""The calls that are served: all that the program, the provider and the procedure make."""

NOT_SERVED: Final = (
    "the sandbox has clusters with their updates and policies, Replicators, topics and tags, but no MSK "
    "configurations, SCRAM secrets, client VPC connections, channels, broker storage or reboots"
)
"""Why another call of the service is refused."""

Answer = tuple[int, dict[str, str], bytes]


def operation_name(method: str, raw_path: str) -> str:
    """The call that a request is; an empty text if it is none."""
    found = model.match(method, raw_path)
    return found[0].name if found else ""


def answer(msk: Msk, region: str, method: str, raw_path: str, query: str, body: bytes) -> Answer:
    """Carries a request out."""
    found = model.match(method, raw_path)
    if found is None:
        return 404, {"x-amzn-ErrorType": "UnknownOperationException"}, b"{}"
    operation, labels = found
    try:
        handler = OPERATIONS.get(operation.name)
        if handler is None:
            raise bad_request(f"{operation.name} is not served; {NOT_SERVED}.")
        params = model.parse(operation, labels, query, body)
        # One call at a time, and all of it or nothing. Topics talk to real Kafka meanwhile, which takes its time.
        with nullcontext() if operation.name in topics.OPERATIONS else msk.store.transaction():
            return model.respond(operation, handler(msk, region, params))
    except ServiceError as error:
        return model.refuse(operation, error)
    except ShapeError:
        log.exception("%s: an answer that MSK would not give", operation.name)
        return _internal_error("the sandbox made an answer that MSK would not give")
    except Exception as error:
        log.exception("%s failed", operation.name)
        return _internal_error(f"{type(error).__name__}: {error}")


def recover(msk: Msk) -> None:
    """Goes on where the process was when it ended: what was real first, then what was still to come."""
    bring_up(msk, [region for region in REGIONS if not msk.is_down(region)])
    for replicator in msk.store.all("replicator"):
        replicators.resume(msk, replicator)
    for cluster in msk.store.all("cluster"):
        clusters.resume(msk, cluster)
        updates.resume(msk, cluster)
    for topic in msk.store.all("topic"):
        topics.resume(msk, topic)


def bring_up(msk: Msk, regions: Collection[str]) -> None:
    """Has the data plane run what should run in the Regions: clusters first, then what copies between them."""
    if msk.data_plane is None:
        return
    running = [
        cluster["ClusterArn"]
        for cluster in msk.store.all("cluster")
        if cluster["State"] in {"ACTIVE", "UPDATING"} and region_of(cluster["ClusterArn"]) in regions
    ]
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda arn: clusters.start_brokers(msk, arn), running))
    for replicator in msk.store.all("replicator"):
        active = replicator["ReplicatorState"] in {"RUNNING", "UPDATING"}
        if active and region_of(replicator["ReplicatorArn"]) in regions:
            replicators.start_copying(msk, replicator)


def summary(msk: Msk) -> dict[str, Any]:
    """Clusters and Replicators at a glance."""
    return {
        "clusters": [
            {key: cluster.get(key) for key in ("ClusterArn", "State", "Bootstrap")}
            for cluster in msk.store.all("cluster")
        ],
        "replicators": [
            {key: replicator.get(key) for key in ("ReplicatorArn", "ReplicatorState", "StateInfo")}
            for replicator in msk.store.all("replicator")
        ],
    }


def uses(msk: Msk, region: str, id_: str) -> bool:
    """Whether a cluster or Replicator has interfaces in a subnet or security group; Replicators in their own Region."""
    nodes = (cluster["Provisioned"]["BrokerNodeGroupInfo"] for cluster in msk.store.all("cluster", region))
    configs = (
        entry["VpcConfig"]
        for replicator in msk.store.all("replicator", region)
        for entry in replicator["KafkaClusters"]
    )
    return any(id_ in [*each["ClientSubnets"], *each["SecurityGroups"]] for each in nodes) or any(
        id_ in [*each["SubnetIds"], *each.get("SecurityGroupIds", [])] for each in configs
    )


def _internal_error(message: str) -> Answer:
    # Status 500 with this name is what every call of MSK models for it.
    return 500, {"x-amzn-ErrorType": "InternalServerErrorException"}, json.dumps({"message": message}).encode()
