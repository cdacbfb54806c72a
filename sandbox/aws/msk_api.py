"""The MSK types whose resources live behind the MSK API: what the sandbox serves when Kafka runs behind it.

Schema, defaults, differences and replacements are those of the types in `msk` and `replicator`; what differs is where
the resources are. The order of the calls is the real provider's [P].
"""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from sandbox.aws import msk, replicator
from sandbox.aws.api_client import PATIENCE, Answer, ServiceClient, State
from sandbox.aws.base import Handler, admit_tags, described_tags, dig, having_made
from sandbox.cloud import Aws
from sandbox.diff import changes
from sandbox.wire import Props

_NAMES: Final = {
    "azDistribution": "BrokerAZDistribution",
    "certificateAuthorityArns": "CertificateAuthorityArnList",
    "cloudwatchLogs": "CloudWatchLogs",
    "consumerGroupsToExcludes": "ConsumerGroupsToExclude",
    "consumerGroupsToReplicates": "ConsumerGroupsToReplicate",
    "securityGroupsIds": "SecurityGroupIds",
    "topicsToExcludes": "TopicsToExclude",
    "topicsToReplicates": "TopicsToReplicate",
}
"""Properties whose name in the API is not simply theirs with a capital letter."""

_PROPERTIES: Final = {member: name for name, member in _NAMES.items()}

_BOOTSTRAP: Final = tuple(
    f"{access}{scheme}"
    for access, schemes in (
        ("", ("", "Ipv6", "SaslIam", "SaslIamIpv6", "SaslScram", "SaslScramIpv6", "Tls", "TlsIpv6")),
        ("Public", ("SaslIam", "SaslScram", "Tls")),
        ("VpcConnectivity", ("SaslIam", "SaslScram", "Tls")),
    )
    for scheme in schemes
)


def to_api(value: Any) -> Any:
    """Properties under the API's names."""
    if isinstance(value, dict):
        return {_NAMES.get(name, name[0].upper() + name[1:]): to_api(inner) for name, inner in value.items()}
    return [to_api(item) for item in value] if isinstance(value, list) else value


def from_api(value: Any) -> Any:
    """An answer under Pulumi's names."""
    if isinstance(value, dict):
        return {_PROPERTIES.get(name, name[0].lower() + name[1:]): from_api(inner) for name, inner in value.items()}
    return [from_api(item) for item in value] if isinstance(value, list) else value


def handlers(client: ServiceClient) -> tuple[Handler, ...]:
    """Cluster, ClusterPolicy, Topic and Replicator behind the API."""
    return Cluster(client), ClusterPolicy(client), Topic(client), Replicator(client)


def _patience(aws: Aws) -> float:
    """How long each wait for a cluster or Replicator may take. A topic, of Terraform's newer framework, has `timeouts`
    of its own and is not reached by the engine's [P]."""
    return aws.timeout or PATIENCE


def _reason(info: Answer) -> str:
    told = info.get("StateInfo")
    return f"{told['Code']}: {told['Message']}" if told else ""


def _tag(client: ServiceClient, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
    admit_tags(inputs)
    before, after = state.get("tagsAll", {}), inputs.get("tagsAll", {})
    if gone := sorted(before.keys() - after.keys()):
        client.call(aws, "UntagResource", ResourceArn=id_, TagKeys=gone)
    if new := {key: value for key, value in after.items() if before.get(key) != value}:
        client.call(aws, "TagResource", ResourceArn=id_, Tags=new)


class Cluster(msk.Cluster):
    """A cluster with a broker behind it."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    def create(self, aws: Aws, inputs: Props) -> str:
        """CreateCluster without multi-VPC connectivity → ACTIVE → UpdateConnectivity → the operation's end [P]."""
        admit_tags(inputs)
        # What the API does not see of the account.
        msk.admit_key(aws, inputs)
        msk.admit_monitoring(aws, inputs)
        id_ = str(self._client.call(aws, "CreateCluster", **_cluster_creation(inputs))["ClusterArn"])
        with having_made(id_, f"waiting for {self.label} ({id_}) create"):
            self._client.wait(
                aws,
                "DescribeClusterV2",
                {"ClusterArn": id_},
                lambda found: (found["ClusterInfo"]["State"], _reason(found["ClusterInfo"])),
                pending=("CREATING",),
                target="ACTIVE",
                seconds=_patience(aws),
            )
        with having_made(id_, f"creating {self.title(inputs)}"):
            for setting in msk.later_connectivity(inputs):
                self._change(aws, id_, "UpdateConnectivity", {"ConnectivityInfo": _connectivity(setting)})
        return id_

    def read(self, aws: Aws, id_: str, known: Props) -> Props | None:
        found = self._client.find(aws, "DescribeCluster", ClusterArn=id_)
        if found is None:
            return None
        info = found["ClusterInfo"]
        brokers = self._client.call(aws, "GetBootstrapBrokers", ClusterArn=id_)
        return {
            **_cluster_settings(info),
            **described_tags(known, info.get("Tags", {})),
            **{f"bootstrapBrokers{kind}": brokers.get(f"BootstrapBrokerString{kind}", "") for kind in _BOOTSTRAP},
            "arn": id_,
            "region": aws.region,
            "clusterUuid": id_.rpartition("/")[2],
            "currentVersion": info["CurrentVersion"],
            "customerActionStatus": info.get("CustomerActionStatus", ""),
            "zookeeperConnectString": info.get("ZookeeperConnectString", ""),
            "zookeeperConnectStringTls": info.get("ZookeeperConnectStringTls", ""),
        }

    def update(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        """One call for each kind of change; what was done before an error stays done [P]."""
        found = {change.rule for change in changes(self.schema, self.rules, state, inputs)}
        for step in msk.UPDATES:
            if not any(f"{rule}.".startswith(f"{path}.") for rule in found for path in step.paths):
                continue
            with having_made(id_, f"updating {self.label} ({id_})"):
                if step.operation == "kafka:TagResource":
                    _tag(self._client, aws, id_, state, inputs)
                    continue
                for params in _cluster_update(step.operation, state, inputs):
                    self._change(aws, id_, step.operation.removeprefix("kafka:"), params)

    def delete(self, aws: Aws, id_: str, state: Props) -> None:
        if self._client.find(aws, "DeleteCluster", ClusterArn=id_) is not None:
            self._client.wait(
                aws,
                "DescribeClusterV2",
                {"ClusterArn": id_},
                lambda found: (found["ClusterInfo"]["State"], _reason(found["ClusterInfo"])),
                pending=("DELETING",),
                target="",
                seconds=_patience(aws),
            )

    def _change(self, aws: Aws, id_: str, operation: str, params: Answer) -> None:
        """An update and its end. The version is asked for each time, because every update makes a new one."""
        version = self._client.call(aws, "DescribeCluster", ClusterArn=id_)["ClusterInfo"]["CurrentVersion"]
        begun = self._client.call(aws, operation, ClusterArn=id_, CurrentVersion=version, **params)
        self._client.wait(
            aws,
            "DescribeClusterOperation",
            {"ClusterOperationArn": begun["ClusterOperationArn"]},
            _operation_state,
            pending=("PENDING", "UPDATE_IN_PROGRESS"),
            target="UPDATE_COMPLETE",
            seconds=_patience(aws),
        )


def _operation_state(found: Answer) -> State:
    info = found["ClusterOperationInfo"]
    told = info.get("ErrorInfo")
    return info["OperationState"], f"{told['ErrorCode']}: {told['ErrorString']}" if told else ""


def _cluster_creation(inputs: Props) -> Answer:
    plain = (
        *("clusterName", "configurationInfo", "enhancedMonitoring", "kafkaVersion", "loggingInfo"),
        *("numberOfBrokerNodes", "openMonitoring", "rebalancing", "storageMode"),
    )
    nodes = inputs["brokerNodeGroupInfo"]
    public = dig(nodes, "connectivityInfo.publicAccess")
    return {
        **to_api({name: inputs[name] for name in plain if name in inputs}),
        "BrokerNodeGroupInfo": {
            **to_api({name: value for name, value in nodes.items() if name != "connectivityInfo"}),
            **({"ConnectivityInfo": _connectivity({"publicAccess": public})} if public else {}),
        },
        **({"ClientAuthentication": _authentication(inputs)} if "clientAuthentication" in inputs else {}),
        **({"EncryptionInfo": _encryption(inputs["encryptionInfo"])} if "encryptionInfo" in inputs else {}),
        **({"Tags": inputs["tagsAll"]} if inputs.get("tagsAll") else {}),
    }


def _cluster_update(operation: str, state: Props, inputs: Props) -> list[Answer]:
    """The parameters of an update besides cluster and version; connectivity takes one setting for each call [P]."""
    match operation:
        case "kafka:UpdateConnectivity":
            before, after = (dig(side, "brokerNodeGroupInfo.connectivityInfo") or {} for side in (state, inputs))
            return [
                {"ConnectivityInfo": _connectivity({name: value})}
                for name, value in after.items()
                if value != before.get(name)
            ]
        case "kafka:UpdateBrokerType":
            return [{"TargetInstanceType": inputs["brokerNodeGroupInfo"]["instanceType"]}]
        case "kafka:UpdateBrokerStorage":
            disk = to_api(dig(inputs, "brokerNodeGroupInfo.storageInfo.ebsStorageInfo") or {})
            size = {"KafkaBrokerNodeId": "ALL", "VolumeSizeGB": disk.pop("VolumeSize", None), **disk}
            return [{"TargetBrokerEBSVolumeInfo": [{key: value for key, value in size.items() if value is not None}]}]
        case "kafka:UpdateBrokerCount":
            return [{"TargetNumberOfBrokerNodes": inputs["numberOfBrokerNodes"]}]
        case "kafka:UpdateClusterKafkaVersion":
            return [{"TargetKafkaVersion": inputs["kafkaVersion"]}]
        case "kafka:UpdateSecurity":
            transit = dig(inputs, "encryptionInfo.encryptionInTransit")
            encryption = {"EncryptionInfo": {"EncryptionInTransit": to_api(transit)}} if transit else {}
            return [{"ClientAuthentication": _authentication(inputs), **encryption}]
        case _:
            named = next(step.paths for step in msk.UPDATES if step.operation == operation)
            return [to_api({name: inputs[name] for name in named if name in inputs})]


def _connectivity(setting: Props) -> Answer:
    """One connectivity setting."""
    if "vpcConnectivity" not in setting:
        return dict(to_api(setting))
    client = setting["vpcConnectivity"].get("clientAuthentication", {})
    schemes = {"Sasl": _sasl(client), "Tls": _switch(client.get("tls"))}
    return {"VpcConnectivity": {"ClientAuthentication": schemes}}


def _authentication(inputs: Props) -> Answer:
    client = inputs.get("clientAuthentication", {})
    authorities = dig(client, "tls.certificateAuthorityArns")
    tls = {"Tls": {"CertificateAuthorityArnList": authorities, **_switch(True)}} if authorities else {}
    return {"Sasl": _sasl(client), "Unauthenticated": _switch(client.get("unauthenticated")), **tls}


def _sasl(client: Props) -> Answer:
    return {name: _switch(dig(client, f"sasl.{name.lower()}")) for name in ("Iam", "Scram")}


def _switch(on: Any) -> Answer:
    return {"Enabled": bool(on)}


def _encryption(info: Props) -> Answer:
    key, transit = info.get("encryptionAtRestKmsKeyArn"), info.get("encryptionInTransit")
    return {
        **({"EncryptionAtRest": {"DataVolumeKMSKeyId": key}} if key else {}),
        **({"EncryptionInTransit": to_api(transit)} if transit else {}),
    }


def _cluster_settings(info: Answer) -> Props:
    """The properties that are inputs, of a cluster as `DescribeCluster` has it."""
    nodes, client, encryption = info["BrokerNodeGroupInfo"], info["ClientAuthentication"], info["EncryptionInfo"]
    software, connectivity = info["CurrentBrokerSoftwareInfo"], nodes["ConnectivityInfo"]
    multi_vpc = connectivity["VpcConnectivity"]["ClientAuthentication"]
    authorities = client.get("Tls", {}).get("CertificateAuthorityArnList")
    described = from_api(
        {name: info[name] for name in ("LoggingInfo", "OpenMonitoring", "Rebalancing") if name in info}
        | {
            "BrokerNodeGroupInfo": {
                name: nodes[name]
                for name in ("BrokerAZDistribution", "ClientSubnets", "InstanceType", "SecurityGroups", "StorageInfo")
                if name in nodes
            },
            "EncryptionInfo": {"EncryptionInTransit": encryption["EncryptionInTransit"]},
        }
    )
    described["brokerNodeGroupInfo"]["connectivityInfo"] = {
        "networkType": connectivity["NetworkType"],
        "publicAccess": from_api(connectivity["PublicAccess"]),
        "vpcConnectivity": {
            "clientAuthentication": {"sasl": _switches(multi_vpc["Sasl"]), "tls": multi_vpc["Tls"]["Enabled"]}
        },
    }
    described["encryptionInfo"]["encryptionAtRestKmsKeyArn"] = encryption["EncryptionAtRest"]["DataVolumeKMSKeyId"]
    if "ConfigurationArn" in software:
        described["configurationInfo"] = {
            "arn": software["ConfigurationArn"],
            "revision": software["ConfigurationRevision"],
        }
    return {
        **described,
        "clientAuthentication": {
            "sasl": _switches(client["Sasl"]),
            "unauthenticated": client["Unauthenticated"]["Enabled"],
            **({"tls": {"certificateAuthorityArns": authorities}} if authorities else {}),
        },
        "clusterName": info["ClusterName"],
        "enhancedMonitoring": info["EnhancedMonitoring"],
        "kafkaVersion": software["KafkaVersion"],
        "numberOfBrokerNodes": info["NumberOfBrokerNodes"],
        "storageMode": info.get("StorageMode", ""),
    }


def _switches(schemes: Answer) -> Props:
    return {name.lower(): scheme["Enabled"] for name, scheme in schemes.items()}


class ClusterPolicy(msk.ClusterPolicy):
    """The policy of a cluster behind the API."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    def create(self, aws: Aws, inputs: Props) -> str:
        """Without a version, so that a policy which is there already makes it fail [P]."""
        self._client.call(aws, "PutClusterPolicy", ClusterArn=inputs["clusterArn"], Policy=inputs["policy"])
        return str(inputs["clusterArn"])

    def read(self, aws: Aws, id_: str, known: Props) -> Props | None:
        found = self._client.find(aws, "GetClusterPolicy", ClusterArn=id_)
        return found and {
            "clusterArn": id_,
            "currentVersion": found["CurrentVersion"],
            "policy": found["Policy"],
            "region": aws.region,
        }

    def update(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        """PutClusterPolicy on the cluster that the inputs name, whatever the resource's id says [P]."""
        cluster, policy = inputs["clusterArn"], inputs["policy"]
        version = state["currentVersion"]
        self._client.call(aws, "PutClusterPolicy", ClusterArn=cluster, Policy=policy, CurrentVersion=version)

    def delete(self, aws: Aws, id_: str, state: Props) -> None:
        self._client.find(aws, "DeleteClusterPolicy", ClusterArn=id_)


class Topic(msk.Topic):
    """A topic of a real broker."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    def create(self, aws: Aws, inputs: Props) -> str:
        id_ = f"{inputs['clusterArn']},{inputs['name']}"
        self._client.call(
            aws,
            "CreateTopic",
            **_topic(id_),
            PartitionCount=inputs["partitionCount"],
            ReplicationFactor=inputs["replicationFactor"],
            **({"Configs": _configs(inputs)} if "configs" in inputs else {}),
        )
        with having_made(id_, f"waiting for {self.label} ({id_}) create"):
            self._wait(aws, id_, pending=("CREATING",), target="ACTIVE", times=2)
        return id_

    def read(self, aws: Aws, id_: str, known: Props) -> Props | None:
        found = self._client.find(aws, "DescribeTopic", **_topic(id_))
        if found is None:
            return None
        actual = json.loads(base64.b64decode(found["Configs"]))
        return {
            **{name: known[name] for name in ("timeouts",) if name in known},
            **_declared(known, actual),
            "arn": found["TopicArn"],
            "region": aws.region,
            "clusterArn": _topic(id_)["ClusterArn"],
            "configsActual": json.dumps(actual, sort_keys=True, separators=(",", ":")),
            "name": found["TopicName"],
            "partitionCount": found["PartitionCount"],
            "replicationFactor": found["ReplicationFactor"],
        }

    def update(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        """Configuration and partitions travel in a call each [P]."""
        found = {change.rule for change in changes(self.schema, self.rules, state, inputs)}
        for name, params in (
            ("configs", {"Configs": _configs(inputs)}),
            ("partitionCount", {"PartitionCount": inputs["partitionCount"]}),
        ):
            if name in found:
                self._client.call(aws, "UpdateTopic", **_topic(id_), **params)
                self._wait(aws, id_, pending=("UPDATING",), target="ACTIVE", times=2)

    def delete(self, aws: Aws, id_: str, state: Props) -> None:
        if self._client.find(aws, "DeleteTopic", **_topic(id_)) is not None:
            self._wait(aws, id_, pending=("ACTIVE", "DELETING"), target="")

    def _wait(self, aws: Aws, id_: str, *, pending: tuple[str, ...], target: str, times: int = 1) -> None:
        self._client.wait(
            aws,
            "DescribeTopic",
            _topic(id_),
            lambda found: (found["Status"], ""),
            pending=pending,
            target=target,
            times=times,
        )


def _topic(id_: str) -> dict[str, str]:
    cluster, _, name = id_.rpartition(",")
    return {"ClusterArn": cluster, "TopicName": name}


def _configs(inputs: Props) -> str:
    """The declared configuration as the API takes it; one that is taken out is set to nothing [P]."""
    return base64.b64encode(inputs.get("configs", "{}").encode()).decode()


def _declared(known: Props, actual: Mapping[str, str]) -> Props:
    """Only the declared keys are compared, and a text that means the same stays as it was written [P]."""
    if "configs" not in known:
        return {}
    declared = json.loads(known["configs"])
    found = {key: actual[key] for key in declared if key in actual}
    return {"configs": known["configs"] if found == declared else json.dumps(found, sort_keys=True)}


_INFO: Final = "replicationInfoList"


class Replicator(replicator.Replicator):
    """A Replicator with a process behind it that copies."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    def create(self, aws: Aws, inputs: Props) -> str:
        """CreateReplicator → RUNNING. One that ends FAILED is there, and so is its reason [P]."""
        admit_tags(inputs)
        replicator.admit_logs(aws, inputs)
        answer = self._client.call(aws, "CreateReplicator", **_replicator_creation(inputs))
        id_ = str(answer["ReplicatorArn"])
        with having_made(id_, f"waiting for {self.label} ({id_}) create"):
            self._wait(aws, id_, pending=("CREATING",), target="RUNNING")
        return id_

    def read(self, aws: Aws, id_: str, known: Props) -> Props | None:
        """The provider shows no state: a Replicator that has FAILED looks like one that runs [P]."""
        found = self._client.find(aws, "DescribeReplicator", ReplicatorArn=id_)
        return found and {
            **_replicator_settings(found),
            **described_tags(known, found.get("Tags", {})),
            "arn": id_,
            "region": aws.region,
        }

    def update(self, aws: Aws, id_: str, state: Props, inputs: Props) -> None:
        """UpdateReplicationInfo takes topics, groups, flags and log delivery; the rest goes nowhere, silently [P]."""
        found = {change.path.partition(".")[0] for change in changes(self.schema, self.rules, state, inputs)}
        if found - {"tags", "tagsAll"}:
            replicator.admit_logs(aws, inputs)
            with having_made(id_, f"updating {self.label} ({id_})"):
                self._client.call(aws, "UpdateReplicationInfo", **_replicator_update(id_, state, inputs))
                self._wait(aws, id_, pending=("UPDATING",), target="RUNNING")
        if found & {"tags", "tagsAll"}:
            _tag(self._client, aws, id_, state, inputs)

    def delete(self, aws: Aws, id_: str, state: Props) -> None:
        if self._client.find(aws, "DeleteReplicator", ReplicatorArn=id_) is not None:
            self._wait(aws, id_, pending=("RUNNING", "DELETING"), target="")

    def _wait(self, aws: Aws, id_: str, *, pending: tuple[str, ...], target: str) -> None:
        self._client.wait(
            aws,
            "DescribeReplicator",
            {"ReplicatorArn": id_},
            lambda found: (found["ReplicatorState"], _reason(found)),
            pending=pending,
            target=target,
            seconds=_patience(aws),
        )


def _replicator_creation(inputs: Props) -> Answer:
    info = inputs[_INFO]
    flow = {name: value for name, value in info.items() if not isinstance(value, list)}
    named = ("kafkaClusters", "logDelivery", "replicatorName", "serviceExecutionRoleArn", "description")
    return {
        **to_api({name: inputs[name] for name in named if inputs.get(name)}),
        "ReplicationInfoList": [
            {
                **to_api(flow),
                "TopicReplication": _without_empty(to_api(info["topicReplications"][0])),
                "ConsumerGroupReplication": _without_empty(to_api(info["consumerGroupReplications"][0])),
            }
        ],
        **({"Tags": inputs["tagsAll"]} if inputs.get("tagsAll") else {}),
    }


def _without_empty(part: Answer) -> Answer:
    """No empty list of exclusions, which the service would not take; what has to be there is."""
    return {name: value for name, value in part.items() if value != [] or not name.endswith("ToExclude")}


def _replicator_update(id_: str, state: Props, inputs: Props) -> Answer:
    """Every list and flag, as the call wants them; what was never said stays as the state has it."""
    parts = {}
    for name, kept, exclusions in (
        ("topicReplications", replicator.TOPIC_UPDATES, "topicsToExcludes"),
        ("consumerGroupReplications", replicator.GROUP_UPDATES, "consumerGroupsToExcludes"),
    ):
        whole = {exclusions: [], **state[_INFO][name][0], **inputs[_INFO][name][0]}
        parts[name] = to_api({key: whole[key] for key in kept})
    return {
        "ReplicatorArn": id_,
        "CurrentVersion": state["currentVersion"],
        "SourceKafkaClusterArn": state[_INFO]["sourceKafkaClusterArn"],
        "TargetKafkaClusterArn": state[_INFO]["targetKafkaClusterArn"],
        "TopicReplication": parts["topicReplications"],
        "ConsumerGroupReplication": parts["consumerGroupReplications"],
        **({"LogDelivery": to_api(inputs["logDelivery"])} if "logDelivery" in inputs else {}),
    }


def _replicator_settings(found: Answer) -> Props:
    """The properties of a described Replicator. The flow names its clusters by alias only [P]."""
    (flow,) = found["ReplicationInfoList"]
    arns = {each["KafkaClusterAlias"]: each["AmazonMskCluster"]["MskClusterArn"] for each in found["KafkaClusters"]}
    # In the order in which they were given: the provider compares the two by position.
    entries = [{name: each[name] for name in each.keys() - {"KafkaClusterAlias"}} for each in found["KafkaClusters"]]
    topics, groups = from_api(flow["TopicReplication"]), from_api(flow["ConsumerGroupReplication"])
    described = {
        **({"description": found["ReplicatorDescription"]} if found.get("ReplicatorDescription") else {}),
        **({"logDelivery": from_api(found["LogDelivery"])} if "LogDelivery" in found else {}),
        "currentVersion": found["CurrentVersion"],
        "kafkaClusters": from_api(entries),
        "replicatorName": found["ReplicatorName"],
        "serviceExecutionRoleArn": found["ServiceExecutionRoleArn"],
    }
    described[_INFO] = {
        "sourceKafkaClusterAlias": flow["SourceKafkaClusterAlias"],
        "sourceKafkaClusterArn": arns[flow["SourceKafkaClusterAlias"]],
        "targetKafkaClusterAlias": flow["TargetKafkaClusterAlias"],
        "targetKafkaClusterArn": arns[flow["TargetKafkaClusterAlias"]],
        "targetCompressionType": flow["TargetCompressionType"],
        "topicReplications": [{"topicsToExcludes": [], **topics}],
        "consumerGroupReplications": [{"consumerGroupsToExcludes": [], **groups}],
    }
    return described
