"""Checks of Replicators, and of what a stack needs around one."""

import re
from collections.abc import Iterator
from typing import Final

from .cluster import LOG_DESTINATIONS, refused, unnamed_destinations
from .iam import Arn, arn
from .reader import Props, Resource
from .rule import Findings

INFO: Final = "replicationInfoList"
TOPICS: Final = f"{INFO}.topicReplications"
GROUPS: Final = f"{INFO}.consumerGroupReplications"
LOGS: Final = "logDelivery.replicatorLogDelivery"
ROLE_ARN: Final = "serviceExecutionRoleArn"
ARN: Final = "amazonMskCluster.mskClusterArn"
ENDS: Final = ("source", "target")

LISTS: Final = {
    ("topicReplications", "topicsToReplicates"): (1, 100, 249),
    ("topicReplications", "topicsToExcludes"): (0, 100, 249),
    ("consumerGroupReplications", "consumerGroupsToReplicates"): (0, 100, 256),
    ("consumerGroupReplications", "consumerGroupsToExcludes"): (0, 100, 256),
}
"""Fewest and most patterns of each list, and most characters of a pattern.

Sources: CloudFormation reference of AWS::MSK::Replicator (counts), service model of botocore 1.44.5 (characters)."""

GLOB: Final = re.compile(r"(?:^|[\w-])\*")
"""A star that repeats nothing, or a plain character: meant as a glob, where the service reads a regular expression."""

TIMEOUTS: Final = ("create", "update", "delete")


def names_stay_the_same(replicator: Resource) -> Findings:
    # The service's default is a prefix: after a failover clients would have to look for other names.
    for topics in replicator.items(TOPICS):
        found = topics.text("topicNameConfiguration.type", "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS")
        if found != "IDENTICAL":
            yield (
                f"{topics.where}.topicNameConfiguration.type is {found!r}; it must be 'IDENTICAL', so that clients "
                "find their topics on the other cluster. Set it to 'IDENTICAL'; it is fixed at creation."
            )


def naming_is_explicit(replicator: Resource) -> Findings:
    yield from _explicit(
        replicator, "topicNameConfiguration.type", "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS", "renames every topic"
    )


def start_is_explicit(replicator: Resource) -> Findings:
    yield from _explicit(replicator, "startingPosition.type", "LATEST", "leaves out all that was written before")


def _explicit(replicator: Resource, path: str, default: str, effect: str) -> Findings:
    for topics in replicator.items(TOPICS):
        if not topics.has(path):
            yield (
                f"{topics.where}.{path} is not set; it must be, for the default {default!r} {effect}, and it is fixed "
                "at creation. Set it."
            )


def lives_with_its_target(replicator: Resource) -> Findings:
    target = arn(replicator.text(f"{INFO}.targetKafkaClusterArn"))
    if target and target.region != replicator.region:
        words = f"The target cluster must be from region {replicator.region}"
        yield (
            f"{INFO}.targetKafkaClusterArn is in {target.region}, the Replicator in {replicator.region}; it must be "
            f"created in the Region of its target {refused(words)}. Declare it in {target.region}."
        )


def clusters_differ(replicator: Resource) -> Findings:
    known = [entry.known(ARN) for entry in replicator.items("kafkaClusters")]
    for twice in sorted({a for a in known if a and known.count(a) > 1}):
        words = "Kafka cluster list contains duplicate cluster ARNs"
        yield (
            f"kafkaClusters has {twice} {known.count(twice)} times; source and target must differ {refused(words)}. "
            "Name both clusters."
        )


def ends_differ(replicator: Resource) -> Findings:
    source, target = (replicator.text(f"{INFO}.{end}KafkaClusterArn") for end in ENDS)
    if source and source == target:
        yield (
            f"{INFO}.sourceKafkaClusterArn is the target's, {source}; source and target must differ. Name the cluster "
            "to read from."
        )


def ends_are_listed(replicator: Resource) -> Findings:
    listed = [entry.text(ARN) for entry in replicator.items("kafkaClusters")]
    for end in ENDS:
        path = f"{INFO}.{end}KafkaClusterArn"
        if (found := replicator.known(path)) and found not in listed:
            words = "Source and target Kafka cluster ARNs must be present in kafkaClusters"
            yield (
                f"{path} is {found}; it must be one of kafkaClusters {refused(words)}. Use the same ARN in both places."
            )


def clusters_share_an_account(replicator: Resource) -> Findings:
    accounts = sorted({a.account for a in _arns(replicator)})
    if len(accounts) > 1:
        yield (
            f"kafkaClusters are in the accounts {', '.join(accounts)}; both must be in one (the service: AccessDenied "
            "on kafka:GetBootstrapBrokers, 2026-09-14). Replicate inside an account; another one may read the copy."
        )


def role_shares_the_account(replicator: Resource) -> Findings:
    accounts = sorted({a.account for a in _arns(replicator)})
    role = arn(replicator.text(ROLE_ARN))
    if role and accounts and role.account not in accounts:
        words = "Cross-account pass role is not allowed."
        yield (
            f"{ROLE_ARN} is of account {role.account}, the clusters of {accounts[0]}; it must be the same "
            f"{refused(words)}. Make the role there."
        )


def _arns(replicator: Resource) -> Iterator[Arn]:
    """The ARNs of its clusters that are known, in their parts."""
    for entry in replicator.items("kafkaClusters"):
        if parts := arn(entry.known(ARN)):
            yield parts


def entries_are_two(replicator: Resource) -> Findings:
    if (count := replicator.count("kafkaClusters")) != 2:
        yield f"kafkaClusters has {count} entries; it must have two, the source and the target. Name both."


def entries_have_one_kind(replicator: Resource) -> Findings:
    for entry in replicator.items("kafkaClusters"):
        kinds = [kind for kind in ("amazonMskCluster", "apacheKafkaCluster") if entry.has(kind)]
        if not kinds:
            yield f"{entry.where} has no cluster; it must have amazonMskCluster or apacheKafkaCluster. Name one."
        elif len(kinds) > 1:
            words = "Cannot specify both AmazonMskCluster and ApacheKafkaCluster in a kafkaCluster object"
            yield f"{entry.where} has {' and '.join(kinds)}; it must have one kind {refused(words)}. Keep one."
        elif kinds == ["apacheKafkaCluster"]:
            if entry.has("vpcConfig"):
                words = "The vpcConfig parameter is only supported for AmazonMskCluster"
                yield (
                    f"{entry.where}.vpcConfig is set for a self-managed cluster; it must not be {refused(words)}. "
                    "Remove it."
                )
            if not entry.has("clientAuthentication"):
                words = (
                    "Apache Kafka clusters require authentication configuration. Specify the clientAuthentication "
                    "parameter."
                )
                yield (
                    f"{entry.where}.clientAuthentication is not set; a self-managed cluster needs it {refused(words)}. "
                    "Set it."
                )
        elif not entry.has("vpcConfig.subnetIds"):
            yield (
                f"{entry.where}.vpcConfig.subnetIds is not set; an MSK cluster needs it. Name the cluster's own "
                "subnets."
            )


def ends_are_named_once(replicator: Resource) -> Findings:
    for end in ENDS:
        by_arn, by_id = (replicator.has(f"{INFO}.{end}KafkaCluster{by}") for by in ("Arn", "Id"))
        names = f"{end}KafkaClusterArn and {end}KafkaClusterId"
        if by_arn and by_id:
            words = refused(f"Cannot specify both {names}")
            yield f"{INFO} has both {names}; it must have one of them {words}. Keep the ARN of an MSK cluster."
        if not by_arn and not by_id:
            yield f"{INFO} has neither {names}; it must have one of them. Set the ARN of an MSK cluster."


def enhanced_sync_fits(replicator: Resource) -> Findings:
    # Left out, the mode is LEGACY, names are prefixed and offsets are copied.
    if not any(
        groups.text("consumerGroupOffsetSyncMode", "LEGACY") == "ENHANCED" for groups in replicator.items(GROUPS)
    ):
        return
    for topics in replicator.items(TOPICS):
        if (found := topics.text("topicNameConfiguration.type", "PREFIXED_WITH_SOURCE_CLUSTER_ALIAS")) != "IDENTICAL":
            words = (
                "The consumerGroupOffsetSyncMode value ENHANCED is only supported when topicNameConfiguration type is "
                "IDENTICAL"
            )
            yield (
                f"consumerGroupOffsetSyncMode is 'ENHANCED' and topicNameConfiguration.type {found!r}; names must be "
                f"'IDENTICAL' for it {refused(words)}. Set topicNameConfiguration.type to 'IDENTICAL'."
            )
    for groups in replicator.items(GROUPS):
        if not groups.flag("synchroniseConsumerGroupOffsets", default=True):
            yield (
                f"{groups.where}.synchroniseConsumerGroupOffsets is false; with the mode 'ENHANCED' it must be true, "
                "else no offset is copied at all. Set it to true."
            )


def new_topics_are_found(replicator: Resource) -> Findings:
    for topics in replicator.items(TOPICS):
        yield from _detects(topics, "detectAndCopyNewTopics", "topic")


def new_groups_are_found(replicator: Resource) -> Findings:
    for groups in replicator.items(GROUPS):
        yield from _detects(groups, "detectAndCopyNewConsumerGroups", "consumer group")


def _detects(props: Props, key: str, kind: str) -> Findings:
    # On when left out.
    if not props.flag(key, default=True):
        yield (
            f"{props.where}.{key} is false; it must be true, else a {kind} made tomorrow is missing on the standby. "
            "Set it to true."
        )


def patterns_mean_something(replicator: Resource) -> Findings:
    for (part, key), (_, _, longest) in LISTS.items():
        for lists in replicator.items(f"{INFO}.{part}"):
            for pattern in lists.texts(key):
                if problem := problem_with(pattern, longest):
                    yield f"{lists.where}.{key} has {pattern!r}, which {problem}."


def problem_with(pattern: str, longest: int) -> str | None:
    """What is wrong with a regular expression of a Replicator's list, as the rest of a sentence."""
    if not pattern:
        return "is empty; every pattern must match something. Write '.*' for everything"
    if len(pattern) > longest:
        return f"has {len(pattern)} characters; at most {longest} are allowed. Split it"
    if glob := GLOB.search(pattern):
        fixed = f"{pattern[: glob.end() - 1]}.{pattern[glob.end() - 1 :]}"
        return f"looks like a glob; the Replicator reads regular expressions. Write {fixed!r}"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        # The service reads Java's dialect, which has classes such as \p{Alpha} that Python calls bad escapes.
        if not str(error).startswith("bad escape"):
            return f"must be a regular expression ({error}). Escape special characters with a backslash"
    return None


def lists_have_room(replicator: Resource) -> Findings:
    for (part, key), (least, most, _) in LISTS.items():
        for lists in replicator.items(f"{INFO}.{part}"):
            if not least <= (count := lists.count(key)) <= most:
                yield (
                    f"{lists.where}.{key} has {count} patterns; it must have {least} to {most}. Join them with '|', or "
                    "write ['.*']."
                )


def something_is_copied(replicator: Resource) -> Findings:
    for part, kind in (("topicReplications", "topics"), ("consumerGroupReplications", "consumerGroups")):
        for lists in replicator.items(f"{INFO}.{part}"):
            copied, left_out = lists.texts(f"{kind}ToReplicates"), lists.texts(f"{kind}ToExcludes")
            if ".*" in left_out or (copied and set(copied) <= set(left_out)):
                yield (
                    f"{lists.where}.{kind}ToExcludes has {left_out}; it must leave something to copy. Remove what is "
                    "wanted."
                )


def logs_go_somewhere(replicator: Resource) -> Findings:
    # Off when left out (new in 2026). Failures otherwise show in a topic on the target only.
    if not any(replicator.flag(f"{LOGS}.{destination}.enabled") for destination in LOG_DESTINATIONS):
        yield (
            f"{LOGS} has no destination that is enabled; a Replicator that fails must say why. Enable "
            f"{' or '.join(LOG_DESTINATIONS)}."
        )


def log_destinations_are_named(replicator: Resource) -> Findings:
    for destination, key in unnamed_destinations(replicator, LOGS):
        yield f"{LOGS}.{destination} is enabled without {key}; it must say where to. Set {key}."


def timeouts_are_long(replicator: Resource) -> Findings:
    least = replicator.options["minimumMinutes"]
    for operation, seconds in zip(TIMEOUTS, replicator.timeouts, strict=True):
        if seconds < least * 60:
            found = f"{seconds / 60:g} minutes" if seconds else "not set, which means 30 minutes"
            yield (
                f"the timeout of {operation} is {found}; it must be {least:g} minutes or more, because the service may "
                "take 30 and a Replicator given up on has to be made anew. Set "
                f"custom_timeouts={operation}='{max(least, 90):g}m'."
            )
