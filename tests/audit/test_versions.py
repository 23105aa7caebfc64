"""Which gaps between versions are faults."""

from datetime import UTC, datetime

import pytest

from ticketing.audit.facts import AT_REST, Facts, Timeline
from ticketing.audit.versions import check_told, check_versions


@pytest.fixture
def facts() -> Facts:
    """The versions 3 and 5 of something were told, and 4 was not."""
    events = {(0, 3): ("a", 1), (0, 5): ("b", 2)}
    return Facts(datetime.now(UTC), timelines={"order:x": Timeline(events)})


def test_a_gap_is_a_fault(facts: Facts) -> None:
    (found,) = check_versions(facts, AT_REST)
    assert (found.about, found.found) == ("order x", "without 0.4")


def test_what_is_free_may_skip_a_version_but_not_the_last(facts: Facts) -> None:
    facts.timelines = {"availability:x": facts.timelines["order:x"]}
    facts.heads = {"availability:x": (0, 5)}
    assert not list(check_versions(facts, AT_REST))
    assert not list(check_told(facts, AT_REST))
    facts.heads = {"availability:x": (0, 6)}
    (found,) = check_told(facts, AT_REST)
    assert found.expected == "version 0.6 in the stream"


def test_two_contents_of_one_version_are_a_fault_of_what_is_free_too(facts: Facts) -> None:
    timeline = Timeline({(0, 3): ("a", 1)}, clashes={(0, 3)})
    facts.timelines = {"availability:x": timeline}
    (found,) = check_versions(facts, AT_REST)
    assert found.expected == "one event per version"
