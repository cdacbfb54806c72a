"""Topics declared as code."""

import json

import pulumi
from pulumi_aws import msk

from components.limits import EXPRESS_REPLICATION_FACTOR
from config import TopicsSettings


class Topics(pulumi.ComponentResource):
    """The declared topics on one cluster, under exactly the declared names.

    Both stacks create them from the same declaration, with timestamps that let a Replicator copy an old backlog.
    """

    topics: list[pulumi.Resource]

    def __init__(
        self,
        name: str,
        settings: TopicsSettings,
        *,
        cluster_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("msk-dr:index:Topics", name, {"topics": [topic.name for topic in settings.topics]}, opts)
        self.topics = [
            msk.Topic(
                f"{name}-{topic.name}",
                # Without a name of its own a topic gets a random suffix, and replication by name ends.
                name=topic.name,
                cluster_arn=cluster_arn,
                partition_count=topic.partitions,
                replication_factor=EXPRESS_REPLICATION_FACTOR,
                configs=json.dumps(topic.effective_configs, sort_keys=True),
                opts=pulumi.ResourceOptions(parent=self, protect=settings.protect),
            )
            for topic in settings.topics
        ]
        self.register_outputs({"names": [topic.name for topic in settings.topics]})
