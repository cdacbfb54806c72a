"""IAM policy documents, judged."""

from typing import Any

import pytest

from sandbox.api.permissions import Flow, allowed, missing, needed, service_allowed, trusts

SOURCE = "arn:aws:kafka:us-east-1:123456789012:cluster/a/1-1"
TARGET = "arn:aws:kafka:us-east-2:123456789012:cluster/b/2-2"
TOPIC = "arn:aws:kafka:us-east-1:123456789012:topic/a/1-1/orders"
READ = "kafka-cluster:ReadData"


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(**changes: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": READ, "Resource": TOPIC} | changes


def without(statement: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in statement.items() if name != key}


DOCUMENTS: dict[str, tuple[dict[str, Any], bool]] = {
    "itself": (document(allow()), True),
    "one statement that is no list": ({"Statement": allow()}, True),
    "nothing": (document(), False),
    "another action": (document(allow(Action="kafka-cluster:WriteData")), False),
    "a list of actions": (document(allow(Action=["kafka-cluster:Connect", READ])), True),
    "an action in other letters": (document(allow(Action="KAFKA-cluster:readdata")), True),
    "a glob of actions": (document(allow(Action="kafka-cluster:Read*")), True),
    "everything": (document(allow(Action="*", Resource="*")), True),
    "a glob of resources": (document(allow(Resource="arn:aws:kafka:*:*:topic/a/*/ord?rs")), True),
    "a glob of another cluster": (document(allow(Resource="arn:aws:kafka:*:*:topic/b/*")), False),
    "a resource in other letters": (document(allow(Resource=TOPIC.upper())), False),
    "a dot that is a dot": (document(allow(Resource=TOPIC.replace("orders", "order."))), False),
    "allowed and denied": (document(allow(), allow(Effect="Deny", Action="*")), False),
    "denied elsewhere": (document(allow(), allow(Effect="Deny", Resource=TARGET)), True),
    "allowed on a condition": (document(allow(Condition={"StringEquals": {"a": "b"}})), False),
    "all but another action": (document(without(allow(NotAction="kafka-cluster:WriteData"), "Action")), True),
    "all but this action": (document(without(allow(NotAction=READ), "Action")), False),
    "all but this resource": (document(without(allow(NotResource=TOPIC), "Resource")), False),
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_a_policy_that_says(case: str) -> None:
    policy, expected = DOCUMENTS[case]
    assert allowed([policy], READ, TOPIC) is expected


def test_policies_add_up_and_any_may_deny() -> None:
    assert allowed([document(), document(allow())], READ, TOPIC)
    assert not allowed([document(allow()), document(allow(Effect="Deny"))], READ, TOPIC)


def flow(**changes: Any) -> Flow:
    settings: dict[str, Any] = {
        "name": "r",
        "source_arn": SOURCE,
        "target_arn": TARGET,
        "topics": ["orders"],
        "groups": ["billing"],
        "copy_topic_configurations": True,
        "copy_acls": False,
    }
    return Flow(**(settings | changes))


def test_a_flow_needs_what_the_guide_lists() -> None:
    found = set(needed(flow()))
    assert ("kafka-cluster:WriteDataIdempotently", SOURCE) in found
    assert (READ, TOPIC) in found
    assert ("kafka-cluster:WriteData", TOPIC) not in found
    target = TOPIC.replace("us-east-1", "us-east-2").replace("topic/a/1-1", "topic/b/2-2")
    assert {action for action, resource in found if resource == target} == {
        f"kafka-cluster:{action}"
        for action in (
            "AlterTopic",
            "AlterTopicDynamicConfiguration",
            "CreateTopic",
            "DescribeTopic",
            "DescribeTopicDynamicConfiguration",
            "WriteData",
        )
    }
    less = set(needed(flow(copy_topic_configurations=False)))
    assert found - less == {
        ("kafka-cluster:AlterTopic", target),
        ("kafka-cluster:AlterTopicDynamicConfiguration", target),
    }
    assert set(needed(flow(copy_acls=True))) - found == {("kafka-cluster:AlterCluster", TARGET)}
    assert not any("orders" in resource for _, resource in needed(flow(topics=[])))


def test_what_is_missing_is_told_by_action_and_resource() -> None:
    everything = document(allow(Action="kafka-cluster:*", Resource="*"))
    assert missing([everything], flow()) == []
    assert missing([document(allow(Action="kafka-cluster:*", Resource="*"), allow(Effect="Deny"))], flow()) == [
        f"{READ} on {TOPIC}"
    ]
    assert len(missing([], flow())) == len(list(needed(flow())))


SERVICE = {"Principal": {"Service": "kafka.amazonaws.com"}}
STATEMENTS: dict[str, tuple[dict[str, Any], bool]] = {
    "the service": (allow(**SERVICE), True),
    "the service in a list": (allow(Principal={"Service": ["ec2.amazonaws.com", "kafka.amazonaws.com"]}), True),
    "another service": (allow(Principal={"Service": "ec2.amazonaws.com"}), False),
    "an account": (allow(Principal={"AWS": "123456789012"}), False),
    "everybody": (allow(Principal="*"), False),
    "a denial": (allow(**SERVICE, Effect="Deny"), False),
    "another resource": (allow(**SERVICE, Resource=SOURCE), False),
}


@pytest.mark.parametrize("case", STATEMENTS)
def test_a_resource_lets_in(case: str) -> None:
    statement, expected = STATEMENTS[case]
    assert service_allowed(document(statement), "kafka.amazonaws.com", READ, TOPIC) is expected


def trust(**changes: Any) -> dict[str, Any]:
    return document({"Effect": "Allow", "Action": "sts:AssumeRole", **SERVICE} | changes)


TRUSTS: dict[str, tuple[dict[str, Any], bool]] = {
    "the service": (trust(), True),
    "the service for this account": (trust(Condition={"StringEquals": {"aws:SourceAccount": "1"}}), True),
    "the service for another account": (trust(Condition={"StringEquals": {"AWS:sourceaccount": ["2", "3"]}}), False),
    "another service": (trust(Principal={"Service": "ec2.amazonaws.com"}), False),
    "another action": (trust(Action="sts:TagSession"), False),
    "nobody": (trust(Effect="Deny"), False),
}


@pytest.mark.parametrize("case", TRUSTS)
def test_a_role_trusts(case: str) -> None:
    policy, expected = TRUSTS[case]
    assert trusts(policy, "kafka.amazonaws.com", "1") is expected
