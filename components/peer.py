"""The other stack of the pair, as far as this one needs it."""

from collections.abc import Callable, Mapping
from typing import Any

import pulumi

from config import PairSettings, flows, hosted


class Peer:
    """The other stack's outputs. A missing one is an error that says what to deploy first, never a silent gap."""

    def __init__(self, settings: PairSettings) -> None:
        name = settings.peer_stack
        if "/" not in name:
            name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{name}"
        self._stack = pulumi.StackReference(name)
        self._settings = settings
        # Nobody waits for this output, but what goes wrong in it is shown all the same.
        self._stack.outputs.apply(_warn(settings))

    def output(self, name: str) -> pulumi.Output[Any]:
        """One output of the other stack, at preview and update as of its last update."""
        return self._stack.outputs.apply(_required(name, self._settings))


def _required(name: str, settings: PairSettings) -> Callable[[Mapping[str, Any]], Any]:
    def required(outputs: Mapping[str, Any]) -> Any:
        if outputs.get(name) is None:
            raise pulumi.RunError(
                f"the stack {settings.peer_stack!r} has no output {name!r}, which this stack needs as it is the "
                f"target of a Replicator (direction {settings.direction!r}). Run "
                f"`pulumi up --stack {settings.peer_stack}` first."
            )
        return outputs[name]

    return required


def _warn(settings: PairSettings) -> Callable[[Mapping[str, Any]], None]:
    def warn(outputs: Mapping[str, Any]) -> None:
        if message := disagreement(settings, outputs.get("direction")):
            pulumi.log.warn(message)

    return warn


def disagreement(settings: PairSettings, peer_direction: str | None) -> str | None:
    """What is wrong with the two stacks' directions taken together; None when nothing is or the peer has none yet.

    A flow runs when its target's stack hosts a Replicator. It is fine that one stack is ahead while the flows that run
    are those that this stack's direction names, as during a failback.
    """
    if peer_direction is None:
        return None
    running = hosted(settings.direction, settings.role) | hosted(peer_direction, settings.peer_role)
    both = f"direction is {settings.direction!r} here and {peer_direction!r} in the stack {settings.peer_stack!r}"
    if not running:
        return (
            f"{both}; no Replicator runs and nothing is copied. Set one direction on both stacks, for example "
            f"`pulumi config set direction {settings.direction}` on {settings.peer_stack}, and update that stack."
        )
    if running != flows(settings.direction):
        names = " and ".join(f"{source} to {target}" for source, target in sorted(running))
        return (
            f"{both}; together they copy {names}. If that is not meant, set the same direction on both stacks: "
            f"`pulumi config set direction {settings.direction} --stack {settings.peer_stack}`, and update that stack."
        )
    return None
