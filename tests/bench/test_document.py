"""The measured part of docs/performance.md."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import document, plot
from bench.goals import Goal


def result(name: str, **more: Any) -> dict[str, Any]:
    figures = {"rate": 5_000.0, "p50": 1.0, "p95": 2.0, "p99": 3.0, "errors": 0, "ratio": 0.7}
    costs = {"cpu_ms": {"tickets-web": 0.2}, "memory_mb": {"tickets-web": 60.0}}
    about = {"name": name, "about": f"about {name}", "floor_rate": 8_000.0}
    about |= {"operations": {}, "notes": {}}
    return {**figures, **costs, **about, **more}


def report(database: str, **more: Any) -> dict[str, Any]:
    machine = {"cores": 2, "system": "Linux", "python": "3.11", "load": 0.1}
    growth = [{"name": "list", "about": "GET it", "unit": "tickets", "points": [
        {"amount": 100, "rate": 50.0, "p50": 1, "p95": 2.0, "p99": 3, "errors": 0},
        {"amount": 1_000, "rate": 40.0, "p50": 1, "p95": 2.0, "p99": 3, "errors": 0},
    ]}]  # fmt: skip
    head = {"database": database, "date": "1 May 2026", "machine": machine, "seconds": 60}
    return {**head, "results": [result("list-50")], "growth": growth, **more}


def test_what_open_pages_take_is_told_beside_the_processes():
    pages = result("pages", notes={"pages_mb": 210})
    text = document.section(report("embedded", results=[result("list-50"), pages]))
    assert text.count("| tickets-web 60 |") == 1
    assert text.count("| tickets-web 60, the pages themselves 210 |") == 1


def test_only_the_measured_part_of_the_document_changes(tmp_path: Path):
    page = tmp_path / "performance.md"
    page.write_text(
        f"# Ours\n\nBy hand.\n\n{document.BEGIN}\nlast time\n{document.END}\n\nThe end.\n"
    )
    document.publish(report("embedded"), tmp_path)
    text = page.read_text()
    assert text.startswith("# Ours\n\nBy hand.\n")
    assert text.endswith("\n\nThe end.\n")
    assert "last time" not in text
    assert "about list-50" in text


def test_a_document_without_a_place_for_figures_is_left_alone():
    with pytest.raises(ValueError, match="measured"):
        document.with_measured("# Ours\n", "figures")


def test_databases_are_kept_apart_and_a_new_run_replaces_its_own_only(tmp_path: Path):
    document.publish(report("embedded"), tmp_path)
    document.publish(report("mongod", date="2 May 2026"), tmp_path)
    document.publish(report("embedded", date="3 May 2026"), tmp_path)
    text = (tmp_path / "performance.md").read_text()
    assert "1 May" not in text
    assert text.index("## The embedded database") < text.index("3 May") < text.index("2 May")
    assert json.loads((tmp_path / "performance" / "mongod.json").read_text())["seconds"] == 60


def test_every_picture_that_is_shown_is_there_and_well_formed(tmp_path: Path):
    document.publish(report("embedded"), tmp_path)
    text = (tmp_path / "performance.md").read_text()
    assert "(performance/embedded-1.svg)" in text
    picture = _parsed((tmp_path / "performance" / "embedded-1.svg").read_text())
    points = [line.get("points") or "" for line in picture.iter() if line.get("points")]
    first, second = points[0].split()
    # Less is further down, more data further right.
    assert float(first.split(",")[1]) < float(second.split(",")[1])
    assert float(first.split(",")[0]) < float(second.split(",")[0])


def test_what_misses_its_goal_is_marked(tmp_path: Path):
    document.publish(report("embedded", results=[result("list-50", rate=7_000.0)]), tmp_path)
    text = (tmp_path / "performance.md").read_text()
    assert "| 7,000 |" in text
    assert "| **0.70** |" in text  # the list should reach 0.8


def test_goals_are_floors_for_rates_and_ceilings_for_times():
    goal = Goal(0.5, 100, p95=20)
    assert goal.missed(result("any", ratio=0.5, rate=100, p95=20)) == []
    assert goal.missed(result("any", ratio=0.4, rate=99, p95=21)) == ["ratio", "rate", "p95"]
    assert goal.missed(result("any", ratio=None, rate=100)) == []


def test_names_in_a_plot_can_hold_anything():
    _parsed(plot.lines("a < b & c", "x", {"<GET>": [(1, 1.0), (10, 0.0)], "": []}))


def _parsed(picture: str) -> ElementTree.Element:
    """The picture. Raises ParseError where it is not well formed."""
    return ElementTree.fromstring(picture)  # noqa: S314 - our own text
