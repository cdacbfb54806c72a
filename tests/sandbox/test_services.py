"""IAM, KMS, Logs, CloudWatch, SNS and STS: what they refuse, and what goes with what."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pulumi_aws import cloudwatch, iam, kms, sns

from sandbox.aws.iam import allows, policies_of, trusts
from sandbox.cloud import Aws
from sandbox.regions import ACCOUNT
from sandbox.wire import Props
from tests.sandbox.kit import OHIO, TRUST, Client, Refused, Rejected, Resource, changed

SSM_POLICY = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
POLICY = json.dumps({"Statement": [{"Effect": "Allow", "Action": "kafka:Get*", "Resource": "*"}]})


def refusal(client: Client, resource: Resource, inputs: Props) -> str:
    with pytest.raises(Refused) as refused:
        client.make(resource, "r", inputs)
    return str(refused.value)


def statement(**other: Any) -> str:
    base = {"Effect": "Allow", "Action": "kafka:Get*", "Resource": "*", **other}
    return json.dumps({"Statement": [{name: value for name, value in base.items() if value is not None}]})


def test_a_role_that_passes_looks_like_one_of_aws(east: Client) -> None:
    made = east.make(iam.Role, "r", {"assumeRolePolicy": TRUST, "name": "r", "path": "/x/"})
    assert made.id == "r"
    assert made["arn"] == f"arn:aws:iam::{ACCOUNT}:role/x/r"
    assert made["uniqueId"].startswith("AROA")
    assert "region" not in made.outputs


def test_iam_is_one_service_for_all_regions(cloud: Any, east: Client) -> None:
    east.make(iam.Role, "r", {"assumeRolePolicy": TRUST, "name": "r"})
    said = refusal(Client(cloud, OHIO), iam.Role, {"assumeRolePolicy": TRUST, "name": "r"})
    assert "StatusCode: 409" in said
    assert "EntityAlreadyExists: Role with name r already exists." in said
    assert {call.operation for call in cloud.calls("global")} == {"iam:CreateRole", "iam:GetRole"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("[]", "a policy is a JSON object"),
        ("{}", "a policy has a Statement"),
        (statement(Principal={"Service": "kafka.amazonaws.com"}), "Has prohibited field Resource"),
        (statement(Resource=None), "Missing required field Principal"),
        (statement(Resource=None, Effect="Maybe", Principal={"AWS": "*"}), "Effect Allow or Deny"),
        (statement(Resource=None, Action=None, Principal={"AWS": "*"}), "has an Action"),
        (statement(Resource=None, Principal={"AWS": "*"}, Sid="x" * 2048), "quota for ACLSizePerRole: 2048"),
    ],
)
def test_the_service_refuses_a_trust_policy(east: Client, document: str, message: str) -> None:
    assert message in refusal(east, iam.Role, {"assumeRolePolicy": document})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (statement(Resource=None), "must contain resources"),
        (statement(Principal={"AWS": "*"}), "should not specify a principal"),
        (statement(Action="GetEverything"), "prefaced by a vendor"),
        (statement(Resource="topic"), "must be in ARN format"),
        (statement(Sid="x" * 10300), "Maximum policy size of 10240 bytes exceeded"),
    ],
)
def test_the_service_refuses_a_roles_policy(east: Client, document: str, message: str) -> None:
    role = east.make(iam.Role, "r", {"assumeRolePolicy": TRUST})
    assert message in refusal(east, iam.RolePolicy, {"role": role.id, "policy": document})
    assert east.make(iam.RolePolicy, "p", {"role": role.id, "policy": POLICY}).id.startswith(f"{role.id}:p-")


@pytest.mark.parametrize("resource", [iam.RolePolicy, iam.RolePolicyAttachment])
def test_a_policy_needs_its_role(east: Client, resource: Resource) -> None:
    rest = {"policy": POLICY} if resource is iam.RolePolicy else {"policyArn": SSM_POLICY}
    assert "NoSuchEntity: The role with name none cannot be found." in refusal(east, resource, {"role": "none", **rest})


def test_only_known_managed_policies_can_be_attached(east: Client) -> None:
    role = east.make(iam.Role, "r", {"assumeRolePolicy": TRUST})
    wrong = SSM_POLICY + "s"
    said = refusal(east, iam.RolePolicyAttachment, {"role": role.id, "policyArn": wrong})
    assert f"Policy {wrong} does not exist or is not attachable." in said
    assert refusal(east, iam.Role, {"assumeRolePolicy": TRUST, "managedPolicyArns": [wrong]})
    assert east.make(iam.RolePolicyAttachment, "a", {"role": role.id, "policyArn": SSM_POLICY}).id


@pytest.mark.parametrize(
    ("resource", "inputs", "path"),
    [
        (iam.Role, {"assumeRolePolicy": "{"}, "assumeRolePolicy"),
        (iam.Role, {"assumeRolePolicy": TRUST, "name": "a b"}, "name"),
        (iam.Role, {"assumeRolePolicy": TRUST, "name": "a" * 65}, "name"),
        (iam.Role, {"assumeRolePolicy": TRUST, "maxSessionDuration": 60}, "maxSessionDuration"),
        (iam.RolePolicy, {"role": "r", "policy": "{"}, "policy"),
        (iam.RolePolicy, {"role": "r", "policy": "{}", "name": "a" * 129}, "name"),
        (iam.InstanceProfile, {"name": "a" * 129}, "name"),
        (kms.Key, {"policy": "{"}, "policy"),
        (kms.Key, {"keyUsage": "HIDE"}, "keyUsage"),
        (kms.Key, {"deletionWindowInDays": 6}, "deletionWindowInDays"),
        (kms.Key, {"rotationPeriodInDays": 80}, "rotationPeriodInDays"),
        (kms.Alias, {"targetKeyId": "k", "name": "data"}, "name"),
        (kms.Alias, {"targetKeyId": "k", "name": "alias/aws/kafka"}, "name"),
        (cloudwatch.LogGroup, {"retentionInDays": 10}, "retentionInDays"),
        (cloudwatch.LogGroup, {"logGroupClass": "CHEAP"}, "logGroupClass"),
        (cloudwatch.LogGroup, {"name": "a b"}, "name"),
        (sns.Topic, {"name": "a b"}, "name"),
        (sns.Topic, {"name": "a", "fifoTopic": True}, "name"),
        (sns.Topic, {"policy": "{"}, "policy"),
        (sns.TopicSubscription, {"topic": "t", "protocol": "pigeon", "endpoint": "e"}, "protocol"),
        (cloudwatch.Dashboard, {"dashboardName": "a b", "dashboardBody": "{}"}, "dashboardName"),
        (cloudwatch.Dashboard, {"dashboardName": "a", "dashboardBody": "{"}, "dashboardBody"),
    ],
)
def test_the_provider_refuses_these_values(east: Client, resource: Resource, inputs: Props, path: str) -> None:
    with pytest.raises(Rejected) as rejected:
        east.check(resource, "r", inputs)
    assert list(rejected.value.failures) == [path]


def test_a_role_with_policies_cannot_be_deleted_unless_forced(east: Client) -> None:
    role = east.make(iam.Role, "r", {"assumeRolePolicy": TRUST})
    attached = east.make(iam.RolePolicyAttachment, "a", {"role": role.id, "policyArn": SSM_POLICY})
    inline = east.make(iam.RolePolicy, "p", {"role": role.id, "policy": POLICY})
    with pytest.raises(Refused, match="DeleteConflict: Cannot delete entity, must detach all policies first."):
        east.delete(role)
    east.delete(attached)
    with pytest.raises(Refused, match="DeleteConflict: Cannot delete entity, must delete policies first."):
        east.delete(role)
    east.delete(inline)
    east.delete(role)
    assert east.read(role) is None
    forced = east.make(iam.Role, "f", {"assumeRolePolicy": TRUST, "forceDetachPolicies": True})
    east.make(iam.RolePolicyAttachment, "a", {"role": forced.id, "policyArn": SSM_POLICY})
    east.delete(forced)


def test_an_instance_profile_has_a_name_and_a_role_that_exists(east: Client) -> None:
    role = east.make(iam.Role, "r", {"assumeRolePolicy": TRUST})
    made = east.make(iam.InstanceProfile, "p", {"role": role.id, "name": "p"})
    assert made["arn"] == f"arn:aws:iam::{ACCOUNT}:instance-profile/p"
    assert "Instance Profile p already exists" in refusal(east, iam.InstanceProfile, {"name": "p"})
    assert "cannot be found" in refusal(east, iam.InstanceProfile, {"role": "none"})
    east.delete(role)
    after = east.read(made)
    assert after is not None
    assert after["role"] == ""


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("kafka:GetX", "arn:aws:kafka:x", True),
        ("KAFKA:getX", "arn:aws:kafka:x", True),
        ("kafka:PutX", "arn:aws:kafka:x", False),
        ("kafka:GetSecret", "arn:aws:kafka:x", False),
        ("s3:PutObject", "arn:aws:s3:::b/k", True),
        ("s3:PutObject", "arn:aws:s3:::c/k", False),
        ("ec2:Run", "arn:aws:ec2:x", True),
        ("iam:PassRole", "arn:aws:ec2:x", False),
    ],
)
def test_policies_are_evaluated_as_iam_does(action: str, resource: str, expected: bool) -> None:
    document = json.dumps(
        {
            "Statement": [
                {"Effect": "Allow", "Action": "kafka:Get*", "Resource": "*"},
                {"Effect": "Deny", "Action": ["kafka:GetSecret"], "Resource": "*"},
                {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::b/*"]},
                {"Effect": "Allow", "NotAction": ["iam:*", "kafka:*", "s3:*"], "Resource": "arn:aws:ec2:?"},
            ]
        }
    )
    assert allows([document], action, resource) is expected


def test_a_role_has_its_inline_its_own_and_its_attached_policies(cloud: Any, east: Client) -> None:
    inline = {"name": "i", "policy": statement(Action="kafka:A")}
    role = east.make(iam.Role, "r", {"assumeRolePolicy": TRUST, "inlinePolicies": [inline]})
    east.make(iam.RolePolicy, "p", {"role": role.id, "policy": statement(Action="kafka:B")})
    east.make(iam.RolePolicyAttachment, "a", {"role": role.id, "policyArn": SSM_POLICY})
    documents = list(policies_of(Aws(cloud, "us-east-1"), role.id))
    for action in ("kafka:A", "kafka:B", "ssm:GetParameter"):
        assert allows(documents, action, "arn:aws:kafka:x"), action
    assert not allows(documents, "kafka:C", "arn:aws:kafka:x")


def test_a_denial_wins_whatever_comes_first() -> None:
    permit, denial = statement(), statement(Effect="Deny")
    for documents in ([permit, denial], [denial, permit]):
        assert not allows(documents, "kafka:GetX", "arn:aws:kafka:x")
    assert not allows([], "kafka:GetX", "arn:aws:kafka:x")


def test_trust_is_for_the_service_that_is_named() -> None:
    assert trusts(TRUST, "kafka.amazonaws.com")
    assert not trusts(TRUST, "ec2.amazonaws.com")
    assert not trusts(TRUST.replace("sts:AssumeRole", "sts:TagSession"), "kafka.amazonaws.com")


def test_a_deleted_key_waits_and_cannot_be_used(east: Client) -> None:
    key = east.make(kms.Key, "k", {"deletionWindowInDays": 7, "enableKeyRotation": True})
    assert key["arn"] == f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{key.id}"
    assert key["rotationPeriodInDays"] == 365
    alias = east.make(kms.Alias, "a", {"targetKeyId": key.id, "name": "alias/data"})
    assert alias["targetKeyArn"] == key["arn"]
    assert "AlreadyExistsException" in refusal(east, kms.Alias, {"targetKeyId": key.id, "name": "alias/data"})
    east.delete(key)
    assert east.read(key) is None
    assert "does not exist" in refusal(east, kms.Alias, {"targetKeyId": key.id})


def key_policy(**other: Any) -> str:
    allowed = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*"}
    return json.dumps({"Statement": [{**allowed, "Resource": "*", **other}]})


def test_a_key_policy_must_not_lock_everybody_out(east: Client) -> None:
    assert east.make(kms.Key, "k", {"policy": key_policy()}).id
    for document in (key_policy(Principal={"Service": "logs.amazonaws.com"}), key_policy(Action="kms:Encrypt")):
        assert "will not allow you to update the key policy" in refusal(east, kms.Key, {"policy": document})
        assert east.make(kms.Key, "b", {"policy": document, "bypassPolicyLockoutSafetyCheck": True}).id
    assert "MalformedPolicyDocumentException" in refusal(east, kms.Key, {"policy": "{}"})


def test_a_log_group_exists_once_and_its_key_must_let_logs_use_it(east: Client) -> None:
    made = east.make(cloudwatch.LogGroup, "l", {"name": "logs", "retentionInDays": 7})
    assert made["arn"] == f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:logs"
    assert "already exists" in refusal(east, cloudwatch.LogGroup, {"name": "logs"})
    plain = east.make(kms.Key, "k", {})
    inputs = {"name": "encrypted", "kmsKeyId": plain["arn"]}
    assert "not allowed to be used with Arn" in refusal(east, cloudwatch.LogGroup, inputs)
    document = json.loads(key_policy())
    service = {"Service": "logs.us-east-1.amazonaws.com"}
    document["Statement"].append({**document["Statement"][0], "Principal": service})
    shared = east.make(kms.Key, "s", {"policy": json.dumps(document)})
    assert east.make(cloudwatch.LogGroup, "e", {**inputs, "kmsKeyId": shared["arn"]}).id == "encrypted"


def test_a_protected_log_group_is_not_deleted(east: Client) -> None:
    made = east.make(cloudwatch.LogGroup, "l", {"deletionProtectionEnabled": True})
    with pytest.raises(Refused, match="deletion protection"):
        east.delete(made)


def alarm(**other: Any) -> Props:
    return {
        "name": "lag",
        "namespace": "AWS/Kafka",
        "metricName": "MessageLag",
        "statistic": "Sum",
        "period": 60,
        "evaluationPeriods": 5,
        "comparisonOperator": "GreaterThanThreshold",
        "threshold": 1000,
        **other,
    }


QUERY: Props = {
    "metricName": None,
    "statistic": None,
    "period": None,
    "namespace": None,
    "metricQueries": [
        {"id": "lag", "metric": {"metricName": "MessageLag", "namespace": "AWS/Kafka", "period": 60, "stat": "Sum"}},
        {"id": "rate", "expression": "RATE(lag) * 60", "returnData": True},
    ],
}


def without_none(inputs: Props) -> Props:
    return {name: value for name, value in inputs.items() if value is not None}


def test_an_alarm_that_passes_has_an_arn(east: Client) -> None:
    made = east.make(cloudwatch.MetricAlarm, "a", alarm())
    assert made["arn"] == f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:lag"
    assert east.make(cloudwatch.MetricAlarm, "m", without_none(alarm(**QUERY))).id == "lag", "PutMetricAlarm overwrites"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"namespace": None}, "namespace is required"),
        ({"period": None}, "period is required"),
        ({"statistic": None}, "Statistic or ExtendedStatistic is required"),
        ({"threshold": None}, "A threshold must be given"),
        ({"period": 45}, "multiple of 60"),
        ({"period": 300, "evaluationPeriods": 300}, "more than a day"),
        ({"datapointsToAlarm": 6}, "greater than or equal to DatapointsToAlarm"),
        ({"metricName": None}, "Either MetricName or Metrics must be set"),
        ({"alarmActions": ["topic"]}, "Invalid arn syntax"),
        (
            {"alarmActions": [f"arn:aws:sns:us-east-2:{ACCOUNT}:t"]},
            "Invalid region us-east-2 specified. Only us-east-1 is supported.",
        ),
        ({"okActions": [f"arn:aws:sns:us-east-1:{ACCOUNT}:none"]}, "does not exist"),
        ({"okActions": ["arn:aws:lambda:us-east-1:1:function:x"] * 6}, "size greater than 5"),
        ({"dimensions": {f"d{number}": "x" for number in range(31)}}, "size greater than 30"),
    ],
)
def test_the_service_refuses_an_alarm(east: Client, other: Props, message: str) -> None:
    assert message in refusal(east, cloudwatch.MetricAlarm, without_none(alarm(**other)))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("metricQueries[1].returnData", False, "Exactly one element"),
        ("metricQueries[0].returnData", True, "Exactly one element"),
        ("metricQueries[1].id", "lag", "must be unique"),
        ("metricQueries[1].expression", "RATE(leg)", "Unknown identifier 'leg'"),
        ("metricQueries[0].metric.period", 61, "multiple of 60"),
        ("metricQueries", [{"id": f"q{number}", "expression": "1"} for number in range(21)], "size greater than 20"),
    ],
)
def test_the_service_refuses_the_queries_of_an_alarm(east: Client, path: str, value: Any, message: str) -> None:
    inputs = changed(without_none(alarm(**QUERY)), path, value)
    assert message in refusal(east, cloudwatch.MetricAlarm, inputs)


def test_an_anomaly_alarm_returns_the_metric_and_its_band(east: Client) -> None:
    band = {"id": "band", "expression": "ANOMALY_DETECTION_BAND(lag, 3)", "returnData": True}
    inputs = without_none(alarm(**QUERY, threshold=None, thresholdMetricId="band"))
    inputs = {**inputs, "comparisonOperator": "GreaterThanUpperThreshold"}
    inputs["metricQueries"] = [{**QUERY["metricQueries"][0], "returnData": True}, band]
    assert east.make(cloudwatch.MetricAlarm, "a", inputs).id
    inputs["metricQueries"] = [QUERY["metricQueries"][0], band]
    assert "threshold metric beside it" in refusal(east, cloudwatch.MetricAlarm, inputs)


@pytest.mark.parametrize(
    ("other", "path"),
    [
        ({"comparisonOperator": "More"}, "comparisonOperator"),
        ({"statistic": "Median"}, "statistic"),
        ({"treatMissingData": "bad"}, "treatMissingData"),
        ({"extendedStatistic": "p99"}, "statistic"),
        ({"metricQueries": [{"id": "a", "expression": "1"}]}, "metricName"),
        ({"evaluationPeriods": None}, "evaluationPeriods"),
        ({"name": "a" * 256}, "name"),
        ({"alarmDescription": "a" * 1025}, "alarmDescription"),
    ],
)
def test_the_provider_refuses_an_alarm(east: Client, other: Props, path: str) -> None:
    with pytest.raises(Rejected) as rejected:
        east.check(cloudwatch.MetricAlarm, "a", without_none(alarm(**other)))
    assert path in rejected.value.failures


@pytest.mark.parametrize(
    ("path", "value", "failing"),
    [
        ("metricQueries[1].id", "Rate", "metricQueries[1].id"),
        ("metricQueries[0].expression", "1", "metricQueries[0]"),
        ("metricQueries[1].expression", None, "metricQueries[1]"),
    ],
)
def test_the_provider_refuses_the_queries_of_an_alarm(east: Client, path: str, value: Any, failing: str) -> None:
    with pytest.raises(Rejected) as rejected:
        east.check(cloudwatch.MetricAlarm, "a", changed(without_none(alarm(**QUERY)), path, value))
    assert list(rejected.value.failures) == [failing]


def test_an_alarm_tells_a_topic_of_its_own_region(cloud: Any, east: Client) -> None:
    topic = east.make(sns.Topic, "t", {"name": "alarms"})
    assert east.make(cloudwatch.MetricAlarm, "a", alarm(alarmActions=[topic.id], okActions=[topic.id])).id
    said = refusal(Client(cloud, OHIO), cloudwatch.MetricAlarm, alarm(alarmActions=[topic.id]))
    assert "Only us-east-2 is supported" in said


def body(*widgets: Props) -> Props:
    return {"dashboardName": "d", "dashboardBody": json.dumps({"widgets": widgets})}


METRIC: Props = {"type": "metric", "properties": {"metrics": [["AWS/Kafka", "CpuUser"]], "region": "us-east-1"}}


@pytest.mark.parametrize(
    "widget",
    [
        {"type": "clock"},
        {"type": "metric", "properties": {"metrics": []}},
        {"type": "metric", "properties": {"region": "us-east-1"}},
        {"type": "text", "properties": {}},
        {"type": "alarm", "properties": {}},
        {**METRIC, "x": 24},
        {**METRIC, "width": 25},
    ],
)
def test_the_service_refuses_a_dashboard(east: Client, widget: Props) -> None:
    assert "The dashboard body is invalid, there are 1 validation errors" in refusal(
        east, cloudwatch.Dashboard, body(METRIC, widget)
    )


def test_a_dashboard_that_passes_has_an_arn_and_is_overwritten_by_its_namesake(east: Client) -> None:
    text = {"type": "text", "properties": {"markdown": "#"}}
    made = east.make(cloudwatch.Dashboard, "d", body(METRIC, text))
    assert made["dashboardArn"] == f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/d"
    assert east.make(cloudwatch.Dashboard, "e", body(METRIC)).id == "d"
    assert "required property 'widgets'" in refusal(
        east, cloudwatch.Dashboard, {"dashboardName": "d", "dashboardBody": "{}"}
    )


def test_an_email_subscription_waits_for_somebody_to_confirm(east: Client) -> None:
    topic = east.make(sns.Topic, "t", {"name": "alarms"})
    inputs = {"topic": topic.id, "protocol": "email", "endpoint": "oncall@example.com"}
    made = east.make(sns.TopicSubscription, "s", inputs)
    assert topic.id == f"arn:aws:sns:us-east-1:{ACCOUNT}:alarms"
    assert made.id.startswith(f"{topic.id}:")
    assert made["pendingConfirmation"] is True
    assert "Invalid parameter: Email address" in refusal(east, sns.TopicSubscription, {**inputs, "endpoint": "oncall"})
    assert "NotFound: Topic does not exist" in refusal(east, sns.TopicSubscription, {**inputs, "topic": topic.id + "x"})
    east.delete(topic)
    assert east.read(made) is None


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"aws:owner": "x"}, "must not begin with aws:"),
        ({"owner": "x<y>"}, "only letters, digits, spaces"),
        ({"a" * 129: "x"}, "too long"),
        ({"owner": "x" * 257}, "too long"),
        ({f"t{number}": "x" for number in range(51)}, "at most 50"),
    ],
)
def test_no_service_takes_such_tags(east: Client, tags: Props, message: str) -> None:
    assert message in refusal(east, cloudwatch.LogGroup, {"tags": tags})
    made = east.make(cloudwatch.LogGroup, "l", {"tags": {"owner": "Zoë @ team-1/a+b=c:d.e_f"}})
    with pytest.raises(Refused, match="InvalidTag"):
        east.change(made, {"tags": tags})


def test_the_caller_is_the_pretended_account(east: Client) -> None:
    identity = east.invoke("aws:index/getCallerIdentity:getCallerIdentity")
    assert identity["accountId"] == ACCOUNT
    assert [call.operation for call in east.cloud.calls("us-east-1")] == ["sts:GetCallerIdentity"] * 2
