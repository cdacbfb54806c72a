"""Cluster policies and tags."""

import json
from collections.abc import Mapping
from typing import Final

from sandbox.api.context import Handler, Msk, find_cluster, fresh_version, put_cluster
from sandbox.api.errors import bad_request, not_found
from sandbox.api.model import Params
from sandbox.api.replicators import find_owned, put_replicator

LONGEST_POLICY: Final = 20 * 1024
MOST_TAGS: Final = 50
"""Characters of a cluster policy; tags of a resource (quotas page, 2026-09)."""


def put_policy(msk: Msk, region: str, params: Params) -> Params:
    cluster = find_cluster(msk, region, params["ClusterArn"])
    _check(params["Policy"], cluster["ClusterArn"])
    present = msk.store.get("policy", region, cluster["ClusterArn"])
    version = params.get("CurrentVersion")
    if present is not None and version is None:
        raise bad_request("Current cluster policy version needed for Update")  # quoted in public issues
    if present is not None and version != present["CurrentVersion"]:
        raise bad_request("The version of the cluster policy isn't current.", "currentVersion")
    policy = {"Policy": params["Policy"], "CurrentVersion": fresh_version()}
    msk.store.put("policy", region, cluster["ClusterArn"], policy)
    return {"CurrentVersion": policy["CurrentVersion"]}


def get_policy(msk: Msk, region: str, params: Params) -> Params:
    arn = find_cluster(msk, region, params["ClusterArn"])["ClusterArn"]
    policy = msk.store.get("policy", region, arn)
    if policy is None:
        raise not_found(f"The cluster {arn} has no cluster policy.", "clusterArn")
    return policy


def delete_policy(msk: Msk, region: str, params: Params) -> Params:
    get_policy(msk, region, params)
    msk.store.remove("policy", region, params["ClusterArn"])
    return {}


def tag_resource(msk: Msk, region: str, params: Params) -> Params:
    _set_tags(msk, region, params["ResourceArn"], {**_tags(msk, region, params["ResourceArn"]), **params["Tags"]})
    return {}


def untag_resource(msk: Msk, region: str, params: Params) -> Params:
    tags = _tags(msk, region, params["ResourceArn"])
    left = {key: value for key, value in tags.items() if key not in params["TagKeys"]}
    _set_tags(msk, region, params["ResourceArn"], left)
    return {}


def list_tags(msk: Msk, region: str, params: Params) -> Params:
    return {"Tags": _tags(msk, region, params["ResourceArn"])}


OPERATIONS: Final[Mapping[str, Handler]] = {
    "PutClusterPolicy": put_policy,
    "GetClusterPolicy": get_policy,
    "DeleteClusterPolicy": delete_policy,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags,
}


def _check(text: str, cluster_arn: str) -> None:
    if len(text) > LONGEST_POLICY:
        raise bad_request(f"The cluster policy has {len(text)} characters; the most is {LONGEST_POLICY}.", "policy")
    try:
        statements = json.loads(text)["Statement"]
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request("The cluster policy is not valid. It must be a JSON policy document.", "policy") from error
    for statement in statements if isinstance(statements, list) else [statements]:
        if "Principal" not in statement or statement.get("Effect") not in {"Allow", "Deny"}:
            raise bad_request("The cluster policy is not valid. A statement needs Effect and Principal.", "policy")
        resources = statement.get("Resource", [])
        for resource in resources if isinstance(resources, list) else [resources]:
            # Topics and groups of the cluster may be named for clients of other accounts.
            own = {cluster_arn.replace(":cluster/", f":{kind}/") for kind in ("topic", "group", "transactional-id")}
            if resource != cluster_arn and not any(resource.startswith(f"{prefix}/") for prefix in own):
                raise bad_request("The cluster policy is not valid. Invalid cluster arn", "policy")  # measured 2026-09


def _tags(msk: Msk, region: str, arn: str) -> dict[str, str]:
    resource = find_owned(msk, region, arn) if ":replicator/" in arn else find_cluster(msk, region, arn)
    return dict(resource["Tags"])


def _set_tags(msk: Msk, region: str, arn: str, tags: dict[str, str]) -> None:
    if len(tags) > MOST_TAGS:
        raise bad_request(f"The resource would have {len(tags)} tags; the most is {MOST_TAGS}.", "tags")
    if ":replicator/" in arn:
        put_replicator(msk, {**find_owned(msk, region, arn), "Tags": tags})
    else:
        put_cluster(msk, {**find_cluster(msk, region, arn), "Tags": tags})
