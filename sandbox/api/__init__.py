"""The AWS APIs that the project and its users' tools need, on loopback: MSK as own code, the rest by moto."""
