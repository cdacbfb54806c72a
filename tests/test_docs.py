"""What is written about the program, compared with the program.

What no test can prove: that the words are true. Names, types, defaults and lists are compared.
"""

import json
import re
from typing import Any, Final

import pytest

from components import limits
from config import DIRECTIONS, KEYS, LARGEST_VPC, NAME_LENGTH, ROLES, SMALLEST_VPC
from tests.recording import PROJECT, ROOT, STACKS, project, run_program, stack_file

TYPES: Final = {str: "string", int: "integer", bool: "boolean", list: "array", dict: "object"}

BEGIN: Final = "<!-- config:begin -->\n"
END: Final = "<!-- config:end -->\n"


def readme() -> str:
    return (ROOT / "README.md").read_text()


def expected_table() -> str:
    """The table of configuration keys that belongs between README's markers, made from `Pulumi.yaml`."""
    rows = ["| key | type | default | what it means |", "|---|---|---|---|"]
    for key, entry in project()["config"].items():
        default = f"`{shown(entry['default'])}`" if "default" in entry else "set in the stack files"
        rows.append(f"| `{key}` | {entry['type']} | {default} | {entry['description']} |")
    return "\n".join(rows) + "\n"


def shown(default: Any) -> str:
    return default if isinstance(default, str) and default else json.dumps(default)


def test_the_table_in_the_readme_is_the_one_in_pulumi_yaml() -> None:
    """After a change: `python -m tests.test_docs` prints the table as it belongs there."""
    text = readme()
    assert (text.count(BEGIN), text.count(END)) == (1, 1)
    table = text.split(BEGIN)[1].split(END)[0]
    assert table.splitlines() == expected_table().splitlines()


def test_the_readme_names_every_output_and_no_other() -> None:
    section = readme().split("### Outputs\n\n")[1].split("\n\n")[0]
    named = set(re.findall(r"`([a-z]\w*)`", section))
    assert named == run_program("primary").exports.keys()


def test_pulumi_yaml_declares_exactly_the_keys_that_the_program_reads_with_their_types() -> None:
    declared = {key: entry["type"] for key, entry in project()["config"].items()}
    assert declared == {key: TYPES[kind] for key, kind in KEYS.items()}


@pytest.mark.parametrize("key", KEYS)
def test_a_declared_key_says_what_it_means_and_its_default_has_its_type(key: str) -> None:
    entry = project()["config"][key]
    assert entry["description"].endswith(".")
    assert "|" not in entry["description"]  # it would end the cell of a table
    if "default" in entry:
        assert type(entry["default"]) is KEYS[key]
    else:
        assert all(f"{PROJECT}:{key}" in stack_file(stack) for stack in STACKS)


def test_descriptions_name_every_choice() -> None:
    choices = {
        "role": ROLES,
        "direction": DIRECTIONS,
        "kafkaVersion": limits.EXPRESS_KAFKA_VERSIONS,
        "enhancedMonitoring": limits.MONITORING_LEVELS,
        "topicNames": limits.TOPIC_NAMES,
        "startingPosition": limits.STARTING_POSITIONS,
        "offsetSyncMode": limits.OFFSET_SYNC_MODES,
        "compression": limits.COMPRESSION_TYPES,
    }
    for key, allowed in choices.items():
        named = set(re.findall(r"`([^`]+)`", project()["config"][key]["description"]))
        assert named == set(allowed), key


def test_descriptions_state_the_limits_that_are_checked() -> None:
    described = {key: entry["description"] for key, entry in project()["config"].items()}
    assert f"At most {NAME_LENGTH} characters." in described["name"]
    assert f"/{LARGEST_VPC} to /{SMALLEST_VPC}" in described["vpcCidr"]
    for kind, keys in (("topics", "topicsTo"), ("groups", "consumerGroupsTo")):
        _, most, longest = limits.REPLICATOR_LISTS[kind]
        for key in (f"{keys}Replicate", f"{keys}Exclude"):
            assert re.search(rf"\b{most} of at most {longest} characters\.", described[key]), key


def test_the_stack_files_hold_the_same_keys_and_only_what_differs() -> None:
    primary, secondary = (stack_file(stack) for stack in STACKS)
    assert (
        primary.keys()
        == secondary.keys()
        == {"aws:region", *(f"{PROJECT}:{key}" for key in ("role", "peerStack", "vpcCidr"))}
    )
    assert all(primary[key] != secondary[key] for key in primary)


@pytest.mark.parametrize("stack", STACKS)
def test_no_key_of_a_stack_file_equals_its_default(stack: str) -> None:
    defaults = {f"{PROJECT}:{key}": entry.get("default") for key, entry in project()["config"].items()}
    assert [key for key, value in stack_file(stack).items() if value == defaults.get(key)] == []


def test_the_stacks_are_each_others_peers() -> None:
    for stack, other in (STACKS, STACKS[::-1]):
        assert stack_file(stack)[f"{PROJECT}:role"] == stack
        assert stack_file(stack)[f"{PROJECT}:peerStack"] == other


if __name__ == "__main__":
    print(expected_table(), end="")
