"""SNS: topics and subscriptions."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pulumi_aws import sns

from sandbox.aws.base import RecordHandler, arn, json_failures, kind_of, one_of, uuid_of
from sandbox.check import Failure
from sandbox.cloud import Aws, AwsError
from sandbox.regions import ACCOUNT
from sandbox.rules import AutoName, Rules
from sandbox.wire import UNKNOWN, Props

TOPIC = kind_of(sns.Topic)
SUBSCRIPTION = kind_of(sns.TopicSubscription)

_PROTOCOLS = ("application", "email", "email-json", "firehose", "http", "https", "lambda", "sms", "sqs")


class Topic(RecordHandler):
    resource = sns.Topic
    label = "SNS Topic"
    creates, reads = "sns:CreateTopic", "sns:GetTopicAttributes"
    updates, deletes = "sns:SetTopicAttributes", "sns:DeleteTopic"
    rules = Rules(
        autoname=AutoName("name", 256),
        defaults={"contentBasedDeduplication": False, "fifoTopic": False},
        replace=frozenset({"fifoTopic", "name", "namePrefix"}),
        computed=frozenset(
            {"fifoThroughputScope", "maximumMessageSize", "policy", "signatureVersion", "tracingConfig"}
        ),
        documents=frozenset({"archivePolicy", "deliveryPolicy", "policy"}),
    )

    def check(self, inputs: Props) -> Iterable[Failure]:
        yield from json_failures(inputs, "policy")
        name = inputs["name"]
        pattern = r"[A-Za-z0-9_-]{1,251}\.fifo" if inputs["fifoTopic"] else r"[A-Za-z0-9_-]{1,256}"
        if name != UNKNOWN and not re.fullmatch(pattern, name):
            yield Failure("name", f"invalid name: {name}")

    def identify(self, aws: Aws, inputs: Props) -> str:
        return arn("sns", aws.region, inputs["name"])

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        policy = (
            '{"Id":"__default_policy_ID","Statement":[{"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes",'
            '"SNS:AddPermission","SNS:RemovePermission","SNS:DeleteTopic","SNS:Subscribe","SNS:ListSubscriptionsByTopic",'
            f'"SNS:Publish"],"Condition":{{"StringEquals":{{"AWS:SourceOwner":"{ACCOUNT}"}}}},"Effect":"Allow",'
            f'"Principal":{{"AWS":"*"}},"Resource":"{id_}","Sid":"__default_statement_ID"}}],"Version":"2008-10-17"}}'
        )
        return {
            "arn": id_,
            "beginningArchiveTime": "",
            "fifoThroughputScope": inputs.get("fifoThroughputScope", ""),
            "maximumMessageSize": inputs.get("maximumMessageSize", 262144),
            "owner": ACCOUNT,
            "policy": inputs.get("policy", policy),
            "signatureVersion": inputs.get("signatureVersion", 0),
            "tracingConfig": inputs.get("tracingConfig", ""),
        }

    def release(self, aws: Aws, id_: str, record: Props) -> None:
        for subscription, held in list(aws.table(SUBSCRIPTION).items()):
            if held["topic"] == id_:
                aws.remove(SUBSCRIPTION, subscription)


class TopicSubscription(RecordHandler):
    resource = sns.TopicSubscription
    label = "SNS Topic Subscription"
    creates, reads = "sns:Subscribe", "sns:GetSubscriptionAttributes"
    updates, deletes = "sns:SetSubscriptionAttributes", "sns:Unsubscribe"
    rules = Rules(
        defaults={"confirmationTimeoutInMinutes": 1, "endpointAutoConfirms": False, "rawMessageDelivery": False},
        replace=frozenset({"endpoint", "protocol", "topic"}),
        computed=frozenset({"filterPolicyScope"}),
        documents=frozenset({"deliveryPolicy", "filterPolicy", "redrivePolicy", "replayPolicy"}),
    )

    def check(self, inputs: Props) -> Iterable[Failure]:
        yield from one_of(inputs, "protocol", _PROTOCOLS)

    def admit(self, aws: Aws, inputs: Props) -> None:
        if aws.get(TOPIC, inputs["topic"]) is None:
            raise AwsError("NotFound", "Topic does not exist", status=404)
        if inputs["protocol"].startswith("email") and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", inputs["endpoint"]):
            raise AwsError("InvalidParameter", "Invalid parameter: Email address")

    def identify(self, aws: Aws, inputs: Props) -> str:
        return f"{inputs['topic']}:{uuid_of(aws.digest('subscription'))}"

    def outputs(self, aws: Aws, id_: str, inputs: Props) -> Props:
        # Nobody confirms here, as nobody has at AWS when `pulumi up` ends.
        pending = inputs["protocol"] in ("email", "email-json", "http", "https", "sms")
        return {
            "arn": id_,
            "confirmationWasAuthenticated": not pending,
            "filterPolicyScope": inputs.get("filterPolicyScope", ""),
            "ownerId": ACCOUNT,
            "pendingConfirmation": pending,
        }


HANDLERS = (Topic(), TopicSubscription())
