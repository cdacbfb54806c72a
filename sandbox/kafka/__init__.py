"""Real Kafka behind the sandbox: a broker in KRaft mode for each MSK cluster, MirrorMaker 2 for each Replicator.

`DataPlane` is all that the rest of the sandbox needs; `python -m sandbox.kafka --help` runs the procedure by itself.

What it does not prove, because it differs from MSK:
- One broker a Region, so topics have one replica (their description says 3, as on Express).
- Plaintext on loopback in place of TLS with IAM: no authentication, no authorization.
- MirrorMaker 2 in place of the managed Replicator: the same effects in other code. It never copies topics whose names
  end in `.internal` or `-internal`.
- A group's position is translated by the records that the Replicator itself copied. After an unplanned failover the
  primary's tail, which arrives late on the secondary, is not taken into account on the way back: a group that changes
  sides before it has read the tail there (before MaxOffsetLag is 0) is put behind it.
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
