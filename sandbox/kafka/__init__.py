"""Real Kafka behind the sandbox: a broker in KRaft mode for each MSK cluster, MirrorMaker 2 for each Replicator.

`DataPlane` is all that the rest of the sandbox needs; `python -m sandbox.kafka --help` runs the procedure by itself.

What it does not prove, because it differs from MSK:
- One broker a Region, so topics have one replica (their description says 3, as on Express).
- Plaintext on loopback in place of TLS with IAM: no authentication, no authorization.
- MirrorMaker 2 in place of the managed Replicator: the same effects in other code. Topics whose names end in `.internal`
  or `-internal` are never copied, and regular expressions are read by Java.
"""

from sandbox.kafka.metrics import DataPoint
from sandbox.kafka.plane import Cluster, DataPlane, DataPlaneError, Replicator
from sandbox.kafka.runtime import RuntimeMissing, ensure_runtime
from sandbox.kafka.settings import ReplicatorSpec
from sandbox.kafka.topics import Admin, ClusterUnavailable, GroupOffset, Topic, TopicError

__all__ = [
    "Admin",
    "Cluster",
    "ClusterUnavailable",
    "DataPlane",
    "DataPlaneError",
    "DataPoint",
    "GroupOffset",
    "Replicator",
    "ReplicatorSpec",
    "RuntimeMissing",
    "Topic",
    "TopicError",
    "ensure_runtime",
]
