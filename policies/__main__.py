"""Starts the policy pack; the engine runs this folder, or `pack` in it. It blocks for ever and must print nothing."""

from pulumi_policy import EnforcementLevel, PolicyPack
from rules import RULES, Pack  # type: ignore[import-not-found]  # the pack's own folder is on the path

PolicyPack("msk-dr", Pack(RULES).policies(), EnforcementLevel.MANDATORY, display_name="MSK disaster recovery")
