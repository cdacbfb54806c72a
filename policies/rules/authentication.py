"""Checks of how clients prove who they are to a cluster."""

from typing import Final

from .cluster import BROKERS, TRANSIT, refused, shown
from .reader import Resource
from .rule import Findings
from .tokens import SERVERLESS

MECHANISMS: Final = {
    "IAM": ("clientAuthentication.sasl.iam", "sasl.iam"),
    "SCRAM": ("clientAuthentication.sasl.scram", "sasl.scram"),
    "TLS": ("clientAuthentication.tls.certificateAuthorityArns", "tls"),
}
"""Each mechanism's property of the cluster, and the one below that of multi-VPC connectivity."""


MULTI_VPC: Final = f"{BROKERS}.connectivityInfo.vpcConnectivity.clientAuthentication"


def mechanisms(cluster: Resource) -> list[str]:
    """The authentication mechanisms that are on. Left out, each is off."""
    return [
        name for name, (path, _) in MECHANISMS.items() if (cluster.count(path) if name == "TLS" else cluster.flag(path))
    ]


def iam_is_on(cluster: Resource) -> Findings:
    # A Serverless cluster writes it `iam.enabled`; both are off when left out.
    path = "clientAuthentication.sasl.iam" + (".enabled" if cluster.type == SERVERLESS else "")
    if not cluster.flag(path):
        yield (
            f"{path} is {shown(cluster, path)}; it must be true: Replicators authenticate with nothing else, and other "
            "mechanisms may stand beside it. Set it to true."
        )


def nobody_enters_unauthenticated(cluster: Resource) -> Findings:
    # Without any mechanism the service lets everybody in, unless unauthenticated access is off explicitly.
    path = "clientAuthentication.unauthenticated"
    if cluster.flag(path, default=not cluster.has(path) and not mechanisms(cluster)):
        yield (
            f"{path} is {shown(cluster, path)}; it must be false, because whoever reaches the port could read and "
            "write everything. Set it to false and clientAuthentication.sasl.iam to true."
        )


def transit_allows_authentication(cluster: Resource) -> Findings:
    on, broker = mechanisms(cluster), cluster.text(f"{TRANSIT}.clientBroker", "TLS")
    if on and broker == "PLAINTEXT":
        words = (
            "Client-broker encryption in transit must be set to either TLS or TLS_PLAINTEXT to enable client "
            "authentication"
        )
        yield f"{TRANSIT}.clientBroker is 'PLAINTEXT'; {', '.join(on)} needs 'TLS' {refused(words)}. Set it to 'TLS'."
    if on and broker == "TLS_PLAINTEXT" and not cluster.flag("clientAuthentication.unauthenticated"):
        words = (
            "You must enable unauthenticated traffic explicitly to use client-authentication using SASL over "
            "TLS_PLAINTEXT"
        )
        yield (
            f"{TRANSIT}.clientBroker is 'TLS_PLAINTEXT'; {', '.join(on)} needs 'TLS' {refused(words)}. Set it to 'TLS'."
        )


def cluster_encryption_allows_authentication(cluster: Resource) -> Findings:
    on = mechanisms(cluster)
    if on and not cluster.flag(f"{TRANSIT}.inCluster", default=True):
        words = "To turn on client authentication, you must also turn on in-cluster encryption"
        yield f"{TRANSIT}.inCluster is false; {', '.join(on)} needs it {refused(words)}. Set it to true."


def some_client_gets_in(cluster: Resource) -> Findings:
    path = "clientAuthentication.unauthenticated"
    if cluster.has(path) and not cluster.flag(path) and not mechanisms(cluster):
        words = "Unauthenticated cannot be set to false without enabling any authentication mechanisms"
        yield (
            f"{path} is false and no mechanism is on; some client must get in {refused(words)}. Turn on "
            "clientAuthentication.sasl.iam."
        )


def authorities_are_private(cluster: Resource) -> Findings:
    path = "clientAuthentication.tls"
    if cluster.has(path) and not cluster.count(f"{path}.certificateAuthorityArns"):
        words = "Enabled and CertificateAuthorityArnList fields must both be defined for TLS"
        yield (
            f"{path} names no authority; mutual TLS needs one {refused(words)}. Name an AWS Private CA, or remove "
            f"{path}."
        )
    for authority in cluster.texts(f"{path}.certificateAuthorityArns"):
        if ":acm-pca:" not in authority:
            words = "One or more of the certificate authority ARNs provided in the request are invalid"
            yield (
                f"{path}.certificateAuthorityArns has {authority!r}; it must be an AWS Private CA {refused(words)}. "
                "Name its ARN."
            )


def multi_vpc_matches_cluster(cluster: Resource) -> Findings:
    # Developer guide, aws-access-mult-vpc (2026-09): a scheme must be on for the cluster.
    on = mechanisms(cluster)
    for name, (_, below) in MECHANISMS.items():
        if cluster.flag(f"{MULTI_VPC}.{below}") and name not in on:
            yield (
                f"{MULTI_VPC}.{below} is true, but {name} is off for the cluster; it must be on for both. Turn on "
                f"{MECHANISMS[name][0]}."
            )


def multi_vpc_is_on(cluster: Resource) -> Findings:
    # Off when left out. Switching it on later is a rolling update of 30 minutes and more, in the middle of a failback.
    path = f"{MULTI_VPC}.sasl.iam"
    if not cluster.flag(path):
        yield (
            f"{path} is {shown(cluster, path)}; it must be true on every cluster that may become a source, because a "
            "Replicator of another Region reads through it. Set it to true."
        )
