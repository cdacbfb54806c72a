"""CloudWatch's metrics and alarms, in place of moto's.

moto 5.2.5 adds the values of every metric that has the asked dimensions among others, knows no metric math, and never
looks at an alarm again. Lag gates and alarms stand on exactly that, so this part is ours: metrics by their exact
dimensions, periods aligned as CloudWatch aligns them, the metric math of `metric_math`, alarms evaluated. Requests,
answers, dashboards and tags stay moto's.

Not served: anomaly detection, SEARCH, Metrics Insights, extended statistics, composite alarms. Such an alarm stays
INSUFFICIENT_DATA. Alarm actions are not carried out.
"""

import bisect
import json
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from moto.cloudwatch import urls
from moto.cloudwatch.exceptions import InvalidParameterValue, ValidationError
from moto.cloudwatch.models import (
    Alarm,
    CloudWatchBackend,
    MetricAggregatedDatum,
    MetricDatum,
    MetricDatumBase,
    Statistics,
    cloudwatch_backends,
)

from sandbox.api.data_plane import DataPoint
from sandbox.api.metric_math import MathError, Values, evaluate

NAMESPACE: Final = "AWS/Kafka"
"""Of everything that the data plane measures."""

KEPT: Final = timedelta(hours=3)
"""How long values are kept at least; CloudWatch keeps values by the second for as long (documentation, 2026-09)."""

_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


@dataclass(frozen=True)
class Metric:
    """What identifies a metric: its exact set of dimensions belongs to it."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]


def install() -> None:
    """Makes moto use this CloudWatch; to be called before moto makes one of its own."""
    cloudwatch_backends.backend = CloudWatch


class CloudWatch(CloudWatchBackend):
    """CloudWatch of one Region. Not thread-safe: moto's lock guards it."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._series: dict[Metric, dict[str | None, _Series]] = {}
        """By unit, too: it belongs to a value."""

    @property
    def _url_module(self) -> Any:
        """moto looks for it beside the class, which is not in moto here."""
        return urls

    def add(self, moment: datetime, points: Iterable[DataPoint]) -> None:
        """Takes values that were measured at the moment."""
        for point in points:
            metric = Metric(NAMESPACE, point.name, frozenset(point.dimensions.items()))
            self._of(metric, point.unit).add(moment.timestamp(), point.value)

    def put_metric_data(self, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        super().put_metric_data(namespace, metric_data)
        for datum in self.metric_data:
            dimensions = frozenset((str(each.name), str(each.value)) for each in datum.dimensions)
            series = self._of(Metric(datum.namespace, datum.name, dimensions), datum.unit)
            moment = _seconds(_naive(datum.timestamp))
            if isinstance(datum, MetricDatum):
                series.add(moment, datum.value)
            elif isinstance(datum, MetricAggregatedDatum):
                series.add(moment, datum)
        self.metric_data = []

    def get_all_metrics(self) -> list[MetricDatumBase]:
        """One value for each metric: what `ListMetrics` lists."""
        return [next(iter(by_unit.values())).listed for by_unit in self._series.values()]

    def get_metric_statistics(
        self,
        namespace: str,
        metric_name: str,
        start_time: datetime,
        end_time: datetime,
        period: int,
        stats: list[str],
        dimensions: list[dict[str, str]],
        unit: str | None = None,
    ) -> list[Statistics]:
        if start_time >= end_time:
            raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
        metric = _metric(namespace, metric_name, dimensions)
        return list(self._periods(metric, stats, period, _naive(start_time), _naive(end_time), unit).values())

    def get_metric_data(
        self,
        queries: list[dict[str, Any]],
        start_time: datetime,
        end_time: datetime,
        scan_by: str = "TimestampAscending",
    ) -> list[dict[str, Any]]:
        if start_time >= end_time:
            raise ValidationError("The parameter EndTime must be greater than StartTime.")
        try:
            results = self._evaluate(queries, _naive(start_time), _naive(end_time))
        except MathError as error:
            raise ValidationError(f"Error in expression: {error}") from error
        answer = []
        for query in queries:
            if not query.get("ReturnData", True):
                continue
            values = results[query["Id"]]
            moments = sorted(values, reverse=scan_by == "TimestampDescending")
            stat = query.get("MetricStat")
            label = query.get("Label") or (stat["Metric"]["MetricName"] if stat else query["Id"])
            answer.append(
                {
                    "id": query["Id"],
                    "label": label,
                    "timestamps": [datetime.fromtimestamp(moment, UTC).replace(tzinfo=None) for moment in moments],
                    "values": [values[moment] for moment in moments],
                    "status_code": "Complete",
                }
            )
        return answer

    def put_metric_alarm(self, name: str, *args: Any, **kwargs: Any) -> Alarm:
        """A changed alarm keeps its state, and its tags, which are taken of a new one only (API reference, 2026-09)."""
        before = self.alarms.get(name)
        if before is not None:
            kwargs["tags"] = None
        alarm = super().put_metric_alarm(name, *args, **kwargs)
        alarm.state_value = before.state_value if before else "INSUFFICIENT_DATA"
        return alarm

    def delete_alarms(self, alarm_names: list[str]) -> None:
        for name in alarm_names:
            if name in self.alarms:
                self.tagger.delete_all_tags_for_resource(self.alarms[name].alarm_arn)
        super().delete_alarms(alarm_names)

    def evaluate_alarms(self, now: datetime) -> None:
        """Brings every alarm's state up to date."""
        for alarm in list(self.alarms.values()):
            try:
                found = self._recent(alarm, now)
            except MathError:
                continue
            if found is None:
                continue
            state, reason = judge(alarm, found)
            if state != alarm.state_value:
                alarm.update_state(reason, json.dumps({"recentDatapoints": found}), state)

    def _recent(self, alarm: Alarm, now: datetime) -> list[float | None] | None:
        """The alarm's values in its last whole periods, oldest first; None if it cannot be evaluated here."""
        if alarm.rule is not None or alarm.comparison_operator not in _COMPARISONS or alarm.threshold_metric_id:
            return None
        if alarm.metric_data_queries:
            queries, returned, period = _alarm_queries(alarm)
        else:
            metric = {
                "Namespace": alarm.namespace,
                "MetricName": alarm.metric_name,
                "Dimensions": [{"Name": each.name, "Value": each.value} for each in alarm.dimensions],
            }
            period = int(alarm.period)
            queries = [{"Id": "value", "MetricStat": {"Metric": metric, "Period": period, "Stat": alarm.statistic}}]
            returned = "value"
        last = int(now.timestamp()) // period * period
        first = last - period * int(alarm.evaluation_periods)
        # DIFF needs the period before the first one. CloudWatch, too, looks at more than the periods that it counts.
        window = (_naive(datetime.fromtimestamp(each, UTC)) for each in (first - period, last))
        values = self._evaluate(queries, *window)
        return [values[returned].get(moment) for moment in range(first, last, period)]

    def _evaluate(self, queries: Sequence[Mapping[str, Any]], start: datetime, end: datetime) -> dict[str, Values]:
        """Every query's values by period."""
        results: dict[str, Values] = {}
        grid: set[int] = set()
        for query in queries:
            if (stat := query.get("MetricStat")) is None:
                continue
            metric, period = stat["Metric"], int(stat["Period"])
            identity = _metric(metric["Namespace"], metric["MetricName"], metric.get("Dimensions", []))
            found = self._periods(identity, [stat["Stat"]], period, start, end, stat.get("Unit"))
            results[query["Id"]] = {
                moment: float(value)
                for moment, statistics in found.items()
                if (value := statistics.get_statistics_for_type(stat["Stat"])) is not None
            }
            first = int(start.replace(tzinfo=UTC).timestamp()) // period * period
            grid |= set(range(first, int(end.replace(tzinfo=UTC).timestamp()), period))
        expressions = [query for query in queries if query.get("MetricStat") is None]
        # An expression may use the ones before it.
        for query in expressions:
            results[query["Id"]] = evaluate(query["Expression"], results, sorted(grid))
        return results

    def _periods(
        self, metric: Metric, stats: list[str], period: int, start: datetime, end: datetime, unit: str | None
    ) -> dict[int, "_Period"]:
        """The values of whole periods; the one that `start` falls into counts from its beginning."""
        found: dict[int, _Period] = {}
        begin = _seconds(_floor(start, period))
        for its_unit, series in self._series.get(metric, {}).items():
            if unit and its_unit != unit:
                continue
            for moment, value in series.between(begin, _seconds(end)):
                key = int(moment) // period * period
                if key not in found:
                    found[key] = _Period(stats, datetime.fromtimestamp(key, UTC).replace(tzinfo=None), its_unit)
                found[key].add(value)
        return found

    def _of(self, metric: Metric, unit: str | None) -> "_Series":
        by_unit = self._series.setdefault(metric, {})
        if unit not in by_unit:
            dimensions = [{"Name": name, "Value": value} for name, value in sorted(metric.dimensions)]
            by_unit[unit] = _Series(MetricDatum(metric.namespace, metric.name, 0, dimensions, None, unit))
        return by_unit[unit]


_Value = float | MetricAggregatedDatum
"""A value, or a set of statistics, which nothing but `PutMetricData` brings."""


class _Series:
    """The values of one metric in one unit through time.

    A pair of Regions has hundreds of metrics, and a value of each every second for hours. A value takes 16 bytes here;
    moto's object takes 500, and moto keeps every one that was ever made.
    """

    def __init__(self, listed: MetricDatumBase) -> None:
        """`listed` is how `ListMetrics` shows the metric."""
        self.listed = listed
        self._moments = array("d")
        self._values = array("d")
        self._sets: list[tuple[float, MetricAggregatedDatum]] = []

    def add(self, moment: float, value: _Value) -> None:
        if isinstance(value, MetricAggregatedDatum):
            self._sets.append((moment, value))
        else:
            # Nearly all come in their order, at the end.
            at = bisect.bisect_right(self._moments, moment)
            self._moments.insert(at, moment)
            self._values.insert(at, value)
        oldest = time.time() - KEPT.total_seconds()
        if self._moments and self._moments[0] < oldest - KEPT.total_seconds():
            gone = bisect.bisect_left(self._moments, oldest)
            del self._moments[:gone], self._values[:gone]

    def between(self, start: float, end: float) -> Iterator[tuple[float, _Value]]:
        """What is from `start` on and before `end`, in seconds since 1970."""
        low, high = (bisect.bisect_left(self._moments, each) for each in (start, end))
        yield from zip(self._moments[low:high], self._values[low:high], strict=True)
        yield from ((moment, found) for moment, found in self._sets if start <= moment < end)

    def __len__(self) -> int:
        return len(self._moments) + len(self._sets)


class _Period(Statistics):
    """moto's statistics of a period, over values that are no objects of moto."""

    def __init__(self, stats: list[str], moment: datetime, unit: str | None) -> None:
        super().__init__(stats, moment, unit)
        self._values: list[float] = []
        self._sets: list[MetricAggregatedDatum] = []

    def add(self, value: _Value) -> None:
        if isinstance(value, MetricAggregatedDatum):
            self._sets.append(value)
        else:
            self._values.append(value)

    @property
    def metric_single_values_list(self) -> list[float]:
        return self._values

    @property
    def metric_aggregated_list(self) -> list[MetricAggregatedDatum]:
        return self._sets


def judge(alarm: Alarm, values: Sequence[float | None]) -> tuple[str, str]:
    """The state that an alarm's last values mean, and why (CloudWatch user guide, alarms and missing data, 2026-09)."""
    wanted = int(alarm.datapoints_to_alarm or alarm.evaluation_periods)
    breaches = _COMPARISONS[alarm.comparison_operator]
    present = [value for value in values if value is not None]
    breaching = sum(breaches(value, float(alarm.threshold)) for value in present)
    treat = alarm.treat_missing_data or "missing"
    if treat == "breaching":
        breaching += len(values) - len(present)
    elif not present and treat == "missing":
        return "INSUFFICIENT_DATA", "Insufficient Data"
    elif not present and treat == "ignore":
        return alarm.state_value, alarm.state_reason
    state = "ALARM" if breaching >= wanted else "OK"
    return state, f"Threshold Crossed: {breaching} of the last {len(values)} datapoints were breaching; {wanted} count."


def _alarm_queries(alarm: Alarm) -> tuple[list[dict[str, Any]], str, int]:
    """An alarm's queries as GetMetricData takes them, the one that is compared, and their period."""
    queries: list[dict[str, Any]] = []
    returned, period = "", 60
    for each in alarm.metric_data_queries:
        query: dict[str, Any] = {"Id": each.id}
        if each.metric_stat is not None:
            metric = each.metric_stat.metric
            period = int(each.metric_stat.period)
            query["MetricStat"] = {
                "Metric": {
                    "Namespace": metric.namespace,
                    "MetricName": metric.metric_name,
                    "Dimensions": [{"Name": item.name, "Value": item.value} for item in metric.dimensions],
                },
                "Period": period,
                "Stat": each.metric_stat.stat,
            }
        else:
            query["Expression"] = each.expression
        if str(each.return_data).lower() != "false":
            returned = str(each.id)
        queries.append(query)
    return queries, returned, period


def _metric(namespace: str, name: str, dimensions: Iterable[Mapping[str, str]]) -> Metric:
    return Metric(namespace, name, frozenset((each["Name"], each["Value"]) for each in dimensions))


def _naive(moment: datetime) -> datetime:
    """In UTC without saying so, as moto keeps times."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _seconds(moment: datetime) -> float:
    """Since 1970, of a moment as moto keeps it."""
    return moment.replace(tzinfo=UTC).timestamp()


def _floor(moment: datetime, period: int) -> datetime:
    seconds = int(moment.replace(tzinfo=UTC).timestamp()) // period * period
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
