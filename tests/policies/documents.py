"""What is written about the rules, made from the table: README's tables and the schema of the configuration.

`python -m tests.policies.documents` writes them; `test_documents.py` compares them with what is in the repository.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from policies.rules import RULES
from policies.rules.rule import EXEMPTIONS

ROOT: Final = Path(__file__).resolve().parents[2]
README: Final = ROOT / "README.md"
SCHEMA: Final = ROOT / "policies" / "config.schema.json"

INVENTORY: Final = "inventory, no requirement"
NOT_EXPRESS: Final = "contradicts Express: its newest version is not the newest of the service"
NO_SUCH_PROPERTY: Final = "Pulumi's provider has no such property"
PROVIDER_DOES_IT: Final = "not needed: Pulumi's provider creates without it and turns it on in the same update"

# Every rule on MSK of the tools that have any (reference: their rule lists as of November 2026), by tool. A text after
# the identifier says why there is nothing to do; the others are named in the `covers` of a rule.
PEERS: Final[dict[str, dict[str, str | None]]] = {
    "Checkov": {
        "CKV_AWS_80": None,
        "CKV_AWS_81": None,
        "CKV_AWS_291": None,
        "CKV2_AWS_5": "it asks whether a security group is used at all, nothing of clusters",
        "generic encryption attribute": None,
    },
    "Prowler": {
        "kafka_cluster_encryption_at_rest_uses_cmk": None,
        "kafka_cluster_in_transit_encryption_enabled": None,
        "kafka_cluster_is_public": None,
        "kafka_cluster_unrestricted_access_disabled": None,
        "kafka_cluster_mutual_tls_authentication_enabled": "contradicts IAM alone; it may be on beside IAM",
        "kafka_cluster_enhanced_monitoring_enabled": None,
        "kafka_cluster_uses_latest_version": f"{NOT_EXPRESS}; see msk-cluster-kafka-version-offered",
        "kafka_connector_in_transit_encryption_enabled": None,
        "ec2_securitygroup_allow_ingress_from_internet_to_tcp_port_kafka_9092": None,
        "ec2_instance_port_kafka_exposed_to_internet": None,
    },
    "AWS Security Hub": {"MSK.1": None, "MSK.2": None, "MSK.3": None, "MSK.4": None, "MSK.5": None, "MSK.6": None},
    "AWS Config": {
        "msk-in-cluster-node-require-tls": None,
        "msk-enhanced-monitoring-enabled": None,
        "msk-connect-connector-encrypted": None,
        "msk-cluster-public-access-disabled": None,
        "msk-connect-connector-logging-enabled": None,
        "msk-unrestricted-access-check": None,
        "msk-cluster-tagged": None,
    },
    "AWS Control Tower": {"CT.MSK.PR.1": None, "CT.MSK.PR.2": None},
    "Trivy, tfsec": {"AVD-AWS-0073": None, "AVD-AWS-0074": None, "AVD-AWS-0179": None},
    "KICS": {
        "6db52fa6 (MSK Cluster Encryption Disabled)": None,
        "a976d63f (MSK Cluster Encryption Disabled)": None,
        "msk_cluster_logging_disabled": None,
        "54378d69 (MSK Broker Is Publicly Accessible)": None,
        "0ce1ba20 (MSK Broker Is Publicly Accessible)": None,
        "051f2063 (BOM - AWS MSK)": INVENTORY,
        "2730c169 (BOM - AWS MSK)": INVENTORY,
    },
    "cdk-nag": {"AwsSolutions-MSK2": None, "AwsSolutions-MSK3": None, "AwsSolutions-MSK6": None},
    "Tenable": {"AC_AWS_0180": None, "AC_AWS_0181": None},
    "GitGuardian": {"GG_IAC_0054": None},
    "Datadog": {"KICS' rules under their own names": "the same rules as KICS'"},
    "Powerpipe": {
        "KMS customer-managed key": None,
        "encryption in transit": None,
        "logging": None,
        "not public": None,
        "no unrestricted access": None,
    },
    "Cloud Custodian": {
        "filter security-group": "a filter to write rules with; see msk-ports-closed-to-world",
        "filter subnet": "a filter to write rules with; see msk-cluster-subnets-in-three-zones",
        "filter kms-key": "a filter to write rules with; see msk-cluster-customer-managed-key",
        "filter cross-account": None,
        "filter upgrade-available": "a filter on what runs; see msk-cluster-kafka-version-offered",
        "action set-monitoring": "an action on what runs; see msk-cluster-monitored-per-broker",
    },
    "tflint": {
        "aws_msk_cluster_invalid_cluster_name": None,
        "aws_msk_cluster_invalid_kafka_version": None,
        "aws_msk_cluster_invalid_enhanced_monitoring": None,
    },
    "cnspec": {"mondoo-aws-security-msk-encryption-in-transit": None},
    "cdk-preflight": {
        "pf-msk-express-no-ebs-storage": None,
        "pf-msk-express-no-storage-mode": None,
        "pf-msk-express-requires-three-subnets": None,
        "pf-msk-express-kafka-version": None,
        "pf-msk-replicator-target-cluster-region": None,
        "pf-msk-replicator-source-target-differ": None,
        "pf-msk-replicator-arns-match-kafka-clusters": None,
        "pf-msk-replicator-clusters-same-account": None,
        "pf-msk-replicator-service-role-account": None,
        "pf-msk-replicator-enhanced-sync-requires-identical": None,
        "pf-msk-replicator-kafka-cluster-exactly-one-kind": None,
        "pf-msk-replicator-source-arn-xor-id": None,
        "pf-msk-replicator-vpc-config-only-for-msk-cluster": None,
        "pf-msk-replicator-apache-kafka-cluster-requires-auth": None,
        "pf-msk-sasl-requires-tls-client-broker": None,
        "pf-msk-sasl-requires-in-cluster-encryption": None,
        "pf-msk-tls-plaintext-requires-unauthenticated": None,
        "pf-msk-unauthenticated-only-requires-no-tls-only": None,
        "pf-msk-tls-enabled-requires-ca-list": None,
        "pf-msk-tls-cert-authority-arn-format": None,
        "pf-msk-client-subnets-count": None,
        "pf-msk-client-subnets-distinct": None,
        "pf-msk-broker-count-multiple-of-az": None,
        "pf-msk-cluster-name-pattern": None,
        "pf-msk-config-name-pattern": None,
        "pf-msk-kafka-version-deprecated": None,
        "pf-msk-t3-small-not-kraft": None,
        "pf-msk-tiered-storage-instance-type": None,
        "pf-msk-provisioned-throughput-instance-type": None,
        "pf-msk-provisioned-throughput-max-per-instance": None,
        "pf-msk-provisioned-throughput-min": None,
        "pf-msk-provisioned-throughput-volume-size": None,
        "pf-msk-provisioned-throughput-without-enabled": None,
        "pf-msk-vpc-connectivity-auth-not-at-create": PROVIDER_DOES_IT,
        "pf-msk-public-access-not-at-create": None,
        "pf-msk-network-type-ipv4-at-create": PROVIDER_DOES_IT,
        "pf-msk-zookeeper-access-not-at-create": NO_SUCH_PROPERTY,
        "pf-msk-broker-logs-any-required": None,
        "pf-msk-broker-logs-cloudwatch-loggroup-required": None,
        "pf-msk-broker-logs-firehose-stream-required": None,
        "pf-msk-broker-logs-s3-bucket-required": None,
        "pf-msk-open-monitoring-requires-exporter": None,
        "pf-msk-config-server-properties-allowed-keys": None,
        "pf-msk-config-kafka-versions-unknown": None,
        "pf-msk-config-custom-advertised-listeners-format": None,
        "pf-msk-clusterpolicy-resource-matches-cluster": None,
        "pf-msk-scram-secret-account": None,
        "pf-msk-scram-secret-list-unique": None,
        "pf-msk-serverless-name-pattern": None,
        "pf-msk-serverless-sasl-iam-enabled": None,
        "pf-msk-serverless-subnets-count": None,
        "pf-msk-serverless-vpc-configs-max": None,
    },
}


def rules_table() -> str:
    """Name, level, why and sources of every rule, as a table in Markdown."""
    rows = [
        (
            f"`{rule.name}`",
            f"{rule.level.value}, {rule.severity.value}",
            rule.why,
            f"[documentation]({rule.url})" + "".join(f", {tool}" for tool in _tools(rule.covers)),
        )
        for rule in RULES
    ]
    return _table(("Rule", "Level, severity", "Why", "Sources"), rows)


def _tools(covers: Iterable[str]) -> list[str]:
    """The tools whose rules these are, each once."""
    return list(dict.fromkeys(tool for cover in covers for tool, rules in PEERS.items() if cover in rules))


def options_table() -> str:
    """Every option with its rule, default and meaning, as a table in Markdown."""
    rows = [
        (f"`{rule.name}`", f"`{name}`", f"`{json.dumps(option['default'])}`", option["description"])
        for rule in RULES
        for name, option in rule.options.items()
    ]
    return _table(("Rule", "Option", "Default", "Meaning"), rows)


def parity_table() -> str:
    """Every rule of another tool with ours, or why there is none, as a table in Markdown."""
    ours: dict[str, list[str]] = {}
    for rule in RULES:
        for cover in rule.covers:
            ours.setdefault(cover, []).append(f"`{rule.name}`")
    rows = [
        (
            tool,
            f"`{peer}`" if re.fullmatch(r"[\w.-]+", peer) else peer,
            ", ".join(ours.get(peer, ())) or f"none: {reason}",
        )
        for tool, peers in PEERS.items()
        for peer, reason in peers.items()
    ]
    return _table(("Tool", "Its rule", "Ours"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def config_schema() -> dict[str, Any]:
    """JSON Schema of a policy configuration file: what the engine checks, and names of rules and options too."""
    level = {"$ref": "#/$defs/level"}
    properties: dict[str, Any] = {"all": {"description": "The level of every rule that is not listed itself.", **level}}
    for rule in RULES:
        options = {"enforcementLevel": level, **rule.options, "exemptions": {"$ref": "#/$defs/exemptions"}}
        given = {"type": "object", "properties": options, "additionalProperties": False}
        properties[rule.name] = {"description": rule.why, "anyOf": [level, given]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of the policy pack msk-dr",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": {"level": {"enum": ["advisory", "mandatory", "disabled"]}, "exemptions": EXEMPTIONS},
    }


def schema_text() -> str:
    return json.dumps(config_schema(), indent=2) + "\n"


def between(text: str, name: str) -> str:
    """What stands between `<!-- name:begin -->` and `<!-- name:end -->`."""
    found = re.search(rf"<!-- {name}:begin -->\n(.*?)\n<!-- {name}:end -->", text, re.DOTALL)
    assert found, f"README.md has no part {name!r} between <!-- {name}:begin --> and <!-- {name}:end -->"
    return found[1]


def filled(text: str) -> str:
    """README with its tables made anew."""
    for name, table in TABLES.items():
        text = text.replace(between(text, name), table())
    return text


TABLES: Final = {"policies": rules_table, "policy-options": options_table, "parity": parity_table}
"""The tables by their names in README."""


if __name__ == "__main__":
    SCHEMA.write_text(schema_text())
    README.write_text(filled(README.read_text()))
