"""Real Kafka behind the sandbox: a broker in KRaft mode for each MSK cluster, MirrorMaker 2 for each Replicator.

`DataPlane` is all that the rest of the sandbox needs.

What it does not prove, because it differs from MSK:
- One broker a Region, so topics have one replica (their description says 3, as on Express).
- Plaintext on loopback in place of TLS with IAM: no authentication, no authorization.
- MirrorMaker 2 in place of the managed Replicator: the same effects in other code. It never copies topics whose names
  end in `.internal` or `-internal`.
- A group that has just become known on the target can be set back there by a consumer's first commit of the next
  seconds (`settings.NEW_GROUP_SECONDS`), and reads again.
- A group's position is translated by the records that a Replicator itself copied, and it only moves forward. After an
  unplanned failover, when the primary comes back with a tail that was not copied, a group that is not active on the
  secondary at that moment is put behind the tail on both sides: the reverse Replicator places it on the primary after
  the records of the outage, which come after the tail there, and the forward one carries that back. A group that stays
  active on the secondary until its MaxOffsetLag is 0 reads the tail. What MSK's ENHANCED mode does here is not
  documented.
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
