"""Starts the policy pack; the engine runs this folder, or `pack` in it. It blocks for ever and must print nothing."""

import io
import sys

from pulumi_policy import EnforcementLevel, PolicyPack
from rules import RULES, Pack  # type: ignore[import-not-found]  # the pack's own folder is on the path

# The SDK writes its port and does not flush it; a language host that starts Python without `-u` would wait for ever.
sys.stdout = io.TextIOWrapper(open(1, "wb", buffering=0, closefd=False))  # noqa: SIM115

PolicyPack("msk-dr", Pack(RULES).policies(), EnforcementLevel.MANDATORY, display_name="MSK disaster recovery")
