"""The schedule is decided by its seed alone, and heals what it breaks."""

import pytest

from dev.chaos.schedule import PARTS, make
from dev.chaos.settings import SettingsError, read
from dev.stack.parts import KEEPERS


def test_the_same_seed_makes_the_same_schedule() -> None:
    assert make(7, 600) == make(7, 600)
    assert make(7, 600) != make(8, 600)


def test_faults_come_in_order_and_within_the_time() -> None:
    times = [fault.at for fault in make(7, 300)]
    assert times == sorted(times)
    assert 0 < times[0] < times[-1] < 300


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    short, long = make(7, 60), make(7, 600)
    assert long[: len(short)] == short


def test_every_part_is_killed_frozen_and_restarted_in_a_long_run() -> None:
    faults = make(7, 1800 * 5)
    for kind in ("kill", "freeze", "restart"):
        assert {fault.part for fault in faults if fault.kind == kind} == set(PARTS)
    assert {f"{app}-{kind}" for app in KEEPERS for kind in ("web", "worker", "db")} <= set(PARTS)


def test_what_is_frozen_goes_on_and_stripe_heals() -> None:
    faults = make(7, 3600)
    for first, second in (("freeze", "thaw"), ("stripe", "stripe heals")):
        begun = sum(fault.kind == first for fault in faults)
        assert begun > 20
        assert sum(fault.kind == second for fault in faults) >= begun - 1


def test_settings() -> None:
    given = read({"MINUTES": "0.5", "SEED": "9"})
    assert (given.seconds, given.seed, given.buyers, given.keep) == (30, 9, 6, False)


@pytest.mark.parametrize("env", [{"MINUTES": "many"}, {"BUYERS": "-1"}])
def test_wrong_settings_are_refused(env: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(env))):
        read(env)
