"""A service behind the API as the real provider meets it: calls by the SDK, refusals, and waiting for states."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import boto3  # type: ignore[import-untyped]
from botocore import xform_name  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from sandbox.cloud import Aws, AwsError

Answer = dict[str, Any]
State = tuple[str, str]
"""The name of a state, and the reason for it if one is told."""

PATIENCE: Final = 600.0
"""Seconds until a wait gives up when the program says nothing. The real provider's 30 to 120 minutes are for real
brokers."""

_FIRST_POLL: Final = 0.1
_LONGEST_POLL: Final = 1.0
_NOT_FOUND: Final = frozenset({"NotFoundException", "ResourceNotFound", "ResourceNotFoundException"})


class ServiceClient:
    """One service behind an endpoint, with a client for each Region. Other requests go on while a call is under way."""

    def __init__(self, service: str, endpoint: str, regions: Collection[str]) -> None:
        """`service` as boto3 names it."""
        self._service = service
        session = boto3.Session(aws_access_key_id="sandbox", aws_secret_access_key="sandbox")
        config = Config(retries={"total_max_attempts": 3, "mode": "standard"}, connect_timeout=5, read_timeout=60)
        self._clients = {
            region: session.client(service, region_name=region, endpoint_url=endpoint, config=config)
            for region in regions
        }

    def call(self, aws: Aws, operation: str, **params: Any) -> Answer:
        """Makes a call; raises AwsError with what the service answers instead."""
        with aws.call(f"{self._service}:{operation}"):
            return self.request(aws, operation, **params)

    def request(self, aws: Aws, operation: str, **params: Any) -> Answer:
        """What a call sends, for a caller who has begun the call itself because there is something to check before."""
        with aws.cloud.unlocked():
            return self._request(aws.region, operation, params)

    def find(self, aws: Aws, operation: str, **params: Any) -> Answer | None:
        """A call about something that may not be there."""
        with aws.call(f"{self._service}:{operation}"), aws.cloud.unlocked():
            return self._look(aws.region, operation, params)

    def wait(
        self,
        aws: Aws,
        operation: str,
        params: Mapping[str, Any],
        state: Callable[[Answer], State],
        *,
        pending: Collection[str],
        target: str,
        times: int = 1,
        seconds: float = PATIENCE,
    ) -> None:
        """Looks until the state is `target`, `times` in a row; an empty one means that nothing is found any more.

        Any state but the pending ones is an AwsError, worded as the real provider does, and so is a state that is
        still pending after `seconds`. Recorded as one call.
        """
        end = time.monotonic() + seconds
        pause, seen, name, reason = _FIRST_POLL, 0, "", ""
        with aws.call(f"{self._service}:{operation}"), aws.cloud.unlocked():
            while time.monotonic() < end:
                found = self._look(aws.region, operation, params)
                name, reason = state(found) if found is not None else ("", "")
                seen = seen + 1 if name == target else 0
                if seen == times or name not in {target, *pending}:
                    break
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_POLL)
        # Outside the block: it is the provider that is not content, not the service.
        if name in pending:
            goal = f"state to become '{target}'" if target else "resource to be gone"
            last = f"last state: '{name}', timeout: {go_duration(seconds)}"
            raise AwsError("Timeout", f"timeout while waiting for {goal} ({last})")
        if name != target:
            because = f" last error: {reason}" if reason else ""
            raise AwsError("UnexpectedState", f"unexpected state '{name}', wanted target '{target}'.{because}")

    def _look(self, region: str, operation: str, params: Mapping[str, Any]) -> Answer | None:
        try:
            return self._request(region, operation, params)
        except AwsError as error:
            if error.code in _NOT_FOUND:
                return None
            raise

    def _request(self, region: str, operation: str, params: Mapping[str, Any]) -> Answer:
        if region not in self._clients:
            known = ", ".join(self._clients)
            raise AwsError("InvalidRegion", f"there is no {self._service} in {region}; the sandbox has it in {known}")
        try:
            answer: Answer = getattr(self._clients[region], xform_name(operation))(**params)
        except ClientError as error:
            told = error.response["Error"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            raise AwsError(told["Code"], told["Message"], status) from error
        except BotoCoreError as error:  # nobody answers, or the parameters do not fit the service's model
            raise AwsError("RequestError", str(error)) from error
        return answer


def go_duration(seconds: float) -> str:
    """A time as Go writes it, and so the real provider: `1h30m0s`, `45s`, `1.5s`, `300ms`."""
    if seconds < 1:
        return f"{1000 * seconds:g}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours}h{minutes}m{rest:g}s"
    return f"{minutes}m{rest:g}s" if minutes else f"{rest:g}s"
