"""The recorder itself: a mock that lets things pass would make every other test worthless."""

import pulumi
import pytest
from pulumi_aws.ec2.vpc import Vpc
from pulumi_aws.get_region import get_region_output
from pulumi_aws.kms.alias import Alias
from pulumi_aws.sqs.queue_policy import QueuePolicy

from tests.recording import record, run_program


def test_a_resource_type_without_an_answer_fails_the_run() -> None:
    with pytest.raises(AssertionError, match="the mock knows no aws:sqs/queuePolicy:QueuePolicy"):
        record(lambda: QueuePolicy("policy", queue_url="url", policy="{}"))


def test_a_function_without_an_answer_fails_the_run() -> None:
    with pytest.raises(AssertionError, match="the mock knows no aws:index/getRegion:getRegion"):
        record(lambda: Vpc("vpc", cidr_block=get_region_output().apply(str)))


def test_two_resources_with_one_urn_fail_the_run() -> None:
    with pytest.raises(AssertionError, match="two resources have the URN .*Vpc::vpc"):
        record(lambda: (Vpc("vpc"), Vpc("vpc")))


def test_an_error_in_an_apply_that_nobody_waits_for_fails_the_run() -> None:
    def fail(_: str) -> None:
        raise pulumi.RunError("in the apply")

    with pytest.raises(pulumi.RunError, match="in the apply"):
        record(lambda: Vpc("vpc").id.apply(fail))


def test_secrets_are_recorded_plain_and_options_as_the_engine_receives_them() -> None:
    def program() -> None:
        parent = pulumi.ComponentResource("msk-dr:index:Outer", "outer")
        inner = pulumi.ComponentResource("msk-dr:index:Inner", "inner", opts=pulumi.ResourceOptions(parent=parent))
        Vpc("first")
        Alias(
            "second",
            name="alias/second",
            target_key_id=pulumi.Output.secret("key"),
            opts=pulumi.ResourceOptions(
                parent=inner,
                protect=True,
                ignore_changes=["target_key_id"],
                custom_timeouts=pulumi.CustomTimeouts(create="1m"),
            ),
        )

    second = record(program).one("kms.Alias")
    assert second.inputs == {"name": "alias/second", "targetKeyId": "key"}
    assert second.urn == "urn:pulumi:primary::msk-dr::msk-dr:index:Outer$msk-dr:index:Inner$aws:kms/alias:Alias::second"
    assert (second.kind, second.parent_kind, second.protect) == ("kms.Alias", "Inner", True)
    assert (second.ignore_changes, second.timeouts) == (("targetKeyId",), {"create": "1m"})


def test_a_resource_waits_for_what_it_names_and_for_what_those_wait_for() -> None:
    def program() -> None:
        first = Vpc("first")
        second = Vpc("second", tags={"first": first.id})
        Vpc("third", opts=pulumi.ResourceOptions(depends_on=[second]))

    run = record(program)
    first, second, third = (run.one("ec2.Vpc", name) for name in ("first", "second", "third"))
    assert run.waits_for(third, first)
    assert not run.waits_for(second, third)
    assert not run.waits_for(first, first)


def test_warnings_are_recorded() -> None:
    assert record(lambda: pulumi.log.warn("careful")).warnings == ("careful",)


def test_runs_do_not_leak_into_each_other() -> None:
    plain = run_program("primary").kinds()
    run_program("primary", client=False, brokerCount=6)
    assert record(lambda: Vpc("alone")).kinds() == {"ec2.Vpc": 1}
    assert run_program("primary").kinds() == plain
