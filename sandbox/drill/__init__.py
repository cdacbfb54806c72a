"""Failover and failback under load, planned and unplanned, with every message accounted for."""
