"""What is taken from measurements."""

import pytest

from bench.figures import Cost, Result, Round, Sample, between, middle, quantile, sample

NOTHING = Cost({}, {}, {})


def at(rate: float, **more: float) -> Sample:
    times = {"p50": 1.0, "p95": 2.0, "p99": 3.0, **more}
    return Sample(seconds=2, requests=int(rate * 2), errors=0, **times)


def test_quantiles_are_values_that_were_measured():
    ordered = [float(number) for number in range(1, 101)]
    assert quantile(ordered, 0.50) == 51
    assert quantile(ordered, 0.99) == 100
    assert quantile([7.0], 0.95) == 7
    assert quantile([], 0.5) == 0


def test_a_sample_of_single_times_knows_its_rate():
    found = sample([3.0, 1.0, 2.0], seconds=0.5, errors=1, statuses={"201": 2, "500": 1})
    assert found.rate == 6
    assert found.p50 == 2
    assert found.errors == 1
    assert found.statuses == {"201": 2, "500": 1}


def test_the_middle_sample_stands_for_all_with_its_own_times():
    assert middle([at(10, p95=9), at(30, p95=7), at(20, p95=5)]).p95 == 5


def test_the_ratio_is_the_median_of_each_rounds_own():
    # One round met a busy machine: both its floor and its load are slow, its ratio is not.
    rounds = [Round(at(50), at(100)), Round(at(6), at(10)), Round(at(90), at(100))]
    result = Result("name", "about", rounds, NOTHING)
    assert result.ratio == pytest.approx(0.6)
    assert Result("name", "about", [Round(at(50))], NOTHING).ratio is None


def test_what_lies_between_two_stretches_is_their_mean():
    first = Sample(2, 100, 1, 10, 20, 30, {"201": 99})
    second = Sample(2, 60, 0, 20, 40, 50, {"201": 60})
    found = between(first, second)
    assert found.rate == 40
    assert (found.p50, found.p95, found.p99) == (15, 30, 40)
    assert (found.errors, found.statuses) == (1, {"201": 159})


def test_costs_are_told_for_each_request():
    cost = Cost({"web": 3.0}, {"web": 50_000_000}, {"orders": 400})
    found = Result("name", "about", [Round(at(50)), Round(at(50))], cost).to_json()
    assert found["requests"] == 200
    assert found["cpu_ms"] == {"web": 15.0}
    assert found["memory_mb"] == {"web": 50.0}
    assert found["operations"] == {"orders": 2.0}


def test_nothing_measured_is_no_division_by_zero():
    none = Sample(2, 0, 0, 0, 0, 0)
    found = Result("name", "about", [Round(none, none)], NOTHING).to_json()
    assert found["rate"] == 0
    assert found["ratio"] is None
