"""Every event as it is on the wire. A golden file changes only when all readers can read it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from shared.events import EVENTS, STREAM_SUBJECTS, Event, parse

GOLDEN = Path(__file__).parent / "golden"
ALL = sorted(EVENTS)


def golden(subject: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{subject}.json").read_text())


def test_every_event_has_a_golden_file_and_a_place_in_the_stream() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.json")) == ALL
    for subject in ALL:
        assert f"{subject.partition('.')[0]}.*" in STREAM_SUBJECTS


@pytest.mark.parametrize("subject", ALL)
def test_what_is_written_is_what_was_agreed(subject: str) -> None:
    event = parse((GOLDEN / f"{subject}.json").read_text())
    assert type(event) is EVENTS[subject]
    assert event.to_dict() == golden(subject)
    assert json.loads(event.to_json()) == golden(subject)


@pytest.mark.parametrize("subject", ALL)
def test_the_golden_file_names_every_key(subject: str) -> None:
    """So that a new key can't be forgotten here."""
    agreed = golden(subject)
    assert agreed.keys() == EVENTS[subject].model_fields.keys()
    data = EVENTS[subject].model_fields["data"].annotation
    assert data is not None
    assert agreed["data"].keys() == {field.alias for field in data.model_fields.values()}


@pytest.mark.parametrize("subject", ALL)
def test_a_reader_ignores_what_it_does_not_know(subject: str) -> None:
    newer = golden(subject)
    newer["added"] = 1
    newer["data"]["added"] = {"later": True}
    assert parse(json.dumps(newer)) == parse(json.dumps(golden(subject)))


@pytest.mark.parametrize("subject", ALL)
def test_a_missing_key_is_an_error(subject: str) -> None:
    for key in ("data", "subject"):
        broken = golden(subject)
        del broken[key]
        with pytest.raises(ValueError, match=key):
            parse(json.dumps(broken))


@pytest.mark.parametrize(
    "payload", [b"", b"null", b"[]", b"{}", b"\xff", b'{"subject": "ticket.renamed"}']
)
def test_what_is_no_event_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the kind of error is what callers rely on
        parse(payload)


SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(),
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    datetime: st.integers(0, 4_102_444_800_000).map(
        lambda milliseconds: datetime.fromtimestamp(milliseconds / 1000, UTC)
    ),
    NoneType: st.none(),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of the type of a field."""
    if isinstance(kind, UnionType):
        return st.one_of(*(values(option) for option in get_args(kind)))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = {name: values(field.annotation) for name, field in kind.model_fields.items()}
        return st.fixed_dictionaries(fields).map(kind.model_validate)
    if get_origin(kind) is tuple:
        return st.lists(values(get_args(kind)[0])).map(tuple)
    return SIMPLE.get(kind, SIMPLE[datetime])  # AwareDatetime is the only other type


@pytest.mark.parametrize("kind", EVENTS.values(), ids=EVENTS)
@given(st.data())
def test_every_event_survives_the_way_through_json(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(values(kind))
    assert event.subject == kind.subject_name
    assert parse(event.to_json()) == event
    assert kind.from_dict(json.loads(json.dumps(event.to_dict()))) == event
