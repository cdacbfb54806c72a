"""A Region's network: zones, subnets, and the way out that only the client's subnet has.

What no unit test can prove: that the zones that AWS names have Express brokers, and that packets arrive.
"""

import pulumi
import pytest

from components.network import Network, choose_zones
from tests.recording import STACKS, ZONE_IDS, Resource, Run, record, run_program, settings_of


def subnets(run: Run) -> list[Resource]:
    return [r for r in run.of("ec2.Subnet") if "private" in r.name]


@pytest.mark.parametrize("stack", STACKS)
def test_brokers_stand_in_three_zones_that_have_express_brokers(stack: str) -> None:
    run = run_program(stack)
    zones = [subnet.inputs["availabilityZoneId"] for subnet in subnets(run)]
    # In alphabetical order, without use1-az3, which is there but has none.
    assert (
        zones
        == {
            "primary": ["use1-az1", "use1-az2", "use1-az4"],
            "secondary": ["use2-az1", "use2-az2", "use2-az3"],
        }[stack]
    )
    assert set(zones) <= set(ZONE_IDS[run.region])


def test_each_subnet_is_a_quarter_of_the_vpc() -> None:
    run = run_program("primary")
    assert run.one("ec2.Vpc").inputs["cidrBlock"] == "10.10.0.0/16"
    assert {subnet.name: subnet.inputs["cidrBlock"] for subnet in run.of("ec2.Subnet")} == {
        "msk-dr-primary-private-a": "10.10.0.0/18",
        "msk-dr-primary-private-b": "10.10.64.0/18",
        "msk-dr-primary-private-c": "10.10.128.0/18",
        "msk-dr-primary-public": "10.10.192.0/18",
    }


def test_only_the_public_subnet_has_a_route_to_the_internet() -> None:
    run = run_program("primary")
    public, route = run.one("ec2.Subnet", "msk-dr-primary-public"), run.one("ec2.Route")
    table, gateway = run.one("ec2.RouteTable"), run.one("ec2.InternetGateway")
    assert route.inputs["destinationCidrBlock"] == "0.0.0.0/0"
    assert (route.inputs["routeTableId"], route.inputs["gatewayId"]) == (table.id, gateway.id)
    association = run.one("ec2.RouteTableAssociation")
    assert (association.inputs["routeTableId"], association.inputs["subnetId"]) == (table.id, public.id)
    # The private subnets keep the VPC's main table, which is exported for routes to the clients' networks.
    assert run.exports["routeTableId"] != table.id


def test_no_subnet_gives_public_addresses_by_itself() -> None:
    assert all(not subnet.inputs.get("mapPublicIpOnLaunch") for subnet in run_program("primary").of("ec2.Subnet"))


def test_whoever_uses_the_public_subnet_waits_for_its_way_out() -> None:
    run = run_program("primary")
    instance = run.one("ec2.Instance")
    assert run.waits_for(instance, run.one("ec2.Route"))
    assert run.waits_for(instance, run.one("ec2.RouteTableAssociation"))


def test_zones_that_were_chosen_stay_and_zones_that_are_named_can_be_changed() -> None:
    """A zone that AWS adds would otherwise move a subnet, and with it replace the cluster."""
    chosen = run_program("primary")
    assert {subnet.ignore_changes for subnet in chosen.of("ec2.Subnet")} == {("availabilityZoneId",)}

    settings = settings_of("primary", zoneIds=["use1-az6", "use1-az2", "use1-az4"]).network
    named = record(lambda: Network("network", settings))
    assert {subnet.ignore_changes for subnet in named.of("ec2.Subnet")} == {()}
    assert [s.inputs["availabilityZoneId"] for s in subnets(named)] == ["use1-az6", "use1-az2", "use1-az4"]
    assert named.calls == ()


def test_a_zone_that_is_impaired_still_counts_and_one_that_needs_opting_in_does_not() -> None:
    """Asking for available zones only would move a subnet while a zone is down."""
    ((_, asked),) = [call for call in run_program("primary").calls if call[0].endswith("getAvailabilityZones")]
    assert "state" not in asked
    assert asked["excludeZoneIds"] == ["use1-az3"]
    assert asked["filters"] == [{"name": "opt-in-status", "values": ["opt-in-not-required"]}]


def test_a_region_with_too_few_zones_is_refused_with_what_it_has() -> None:
    with pytest.raises(
        pulumi.RunError, match=r"has 2 zones with Express brokers \(x1-az1, x1-az2\).*Take another Region"
    ):
        choose_zones(["x1-az2", "x1-az1"])


def test_the_choice_of_zones_does_not_depend_on_their_order() -> None:
    assert choose_zones(["d", "b", "a", "c"]) == choose_zones(["a", "b", "c", "d"]) == ["a", "b", "c"]


def test_names_resolve_inside_the_vpc() -> None:
    """Brokers are found by names that AWS's own resolver answers."""
    vpc = run_program("primary").one("ec2.Vpc").inputs
    assert (vpc["enableDnsSupport"], vpc["enableDnsHostnames"]) == (True, True)
