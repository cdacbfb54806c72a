"""What every call works on, and the few things that all of them need."""

import base64
import json
import secrets
import string
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sandbox.api.account import ACCOUNT, Account
from sandbox.api.data_plane import DataPlane
from sandbox.api.errors import bad_request, not_found
from sandbox.api.model import Params
from sandbox.api.store import Record, Store
from sandbox.api.work import Work

PAGE: Final = 100
"""How many items a list call answers when it is not told (the model's own limit for `maxResults`)."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long things take, in seconds. At AWS: a cluster 31 minutes, connectivity 30, a Replicator up to 30."""

    create: float = 0.5
    update: float = 0.3
    delete: float = 0.3
    give_up: float = 300
    """After which a Replicator that does not run is FAILED."""


@dataclass(frozen=True, kw_only=True)
class Msk:
    """The service: its state and what it stands on."""

    store: Store
    account: Account
    data_plane: DataPlane | None
    work: Work
    timing: Timing
    is_down: Callable[[str], bool]


Handler = Callable[[Msk, str, Params], Params]
"""A call: the service, the Region it was sent to, its parameters under the model's names; the answer likewise."""


def now() -> str:
    """The time as it is kept in the state."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def fresh_version() -> str:
    """A current version as MSK writes them: no number, nothing to count on but that it changes."""
    return "K" + "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(12))


def fresh_arn(region: str, kind: str, name: str) -> str:
    """An ARN of a new cluster or Replicator: name, UUID and one more digit."""
    return f"arn:aws:kafka:{region}:{ACCOUNT}:{kind}/{name}/{uuid.uuid4()}-{secrets.randbelow(9) + 1}"


def region_of(arn: str) -> str:
    """The Region in an ARN; an empty text if there is none."""
    parts = arn.split(":")
    return parts[3] if len(parts) > 3 else ""


def account_of(arn: str) -> str:
    parts = arn.split(":")
    return parts[4] if len(parts) > 4 else ""


def find_cluster(msk: Msk, region: str, arn: str) -> Record:
    cluster = msk.store.get("cluster", region, arn)
    if cluster is None:
        raise not_found(f"The cluster {arn} does not exist in {region}.", "clusterArn")
    return cluster


def put_cluster(msk: Msk, cluster: Record) -> None:
    msk.store.put("cluster", region_of(cluster["ClusterArn"]), cluster["ClusterArn"], cluster)


def cluster_policy(msk: Msk, arn: str) -> dict[str, Any] | None:
    """The policy that is on a cluster, parsed."""
    policy = msk.store.get("policy", region_of(arn), arn)
    return None if policy is None else json.loads(policy["Policy"])


def is_express(cluster: Record) -> bool:
    return str(cluster["Provisioned"]["BrokerNodeGroupInfo"]["InstanceType"]).startswith("express.")


def kafka_version(cluster: Record) -> str:
    return str(cluster["Provisioned"]["CurrentBrokerSoftwareInfo"]["KafkaVersion"])


def page(
    items: Iterable[Any], key: Callable[[Any], str], params: Params, default: int = PAGE
) -> tuple[Sequence[Any], Params]:
    """One page of the items, by key, and the `NextToken` of the next one if there is any.

    A token names the last item of its page, so that what comes and goes meanwhile moves no other item.
    """
    ordered = sorted(items, key=key)
    if (token := params.get("NextToken")) is not None:
        try:
            last = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
        except ValueError as error:
            raise bad_request("The nextToken is not valid.", "nextToken") from error
        ordered = [item for item in ordered if key(item) > last]
    size = params.get("MaxResults", default)
    if len(ordered) <= size:
        return ordered, {}
    return ordered[:size], {"NextToken": base64.urlsafe_b64encode(key(ordered[size - 1]).encode()).decode()}
