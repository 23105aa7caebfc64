"""Keeps a run's figures under docs/performance/, and the tables and plots of docs/performance.md.

`python -m bench.document` makes the tables and plots again from the figures that are there.
"""

import json
from pathlib import Path
from typing import Any

from bench import plot
from bench.goals import GOALS, Goal

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
EMBEDDED = "embedded"
_GOALS = (
    "A figure in bold misses its goal. Goals for rates are for a machine that answers a bare route"
    " 8,000 times a second."
)
_TITLES = {EMBEDDED: "The embedded database"}


def publish(report: dict[str, Any], docs: Path = DOCS) -> None:
    """Store the figures of a run in place of the last ones with the same database."""
    folder = docs / "performance"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report['database']}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    renew(docs)


def renew(docs: Path = DOCS) -> None:
    """Write the measured part of the document anew; the rest of it stays as it is."""
    folder = docs / "performance"
    reports = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    for report in reports:
        for name, picture in pictures(report).items():
            (folder / name).write_text(picture)
    document = docs / "performance.md"
    text = document.read_text() if document.exists() else f"# Performance\n\n{BEGIN}\n{END}\n"
    document.write_text(with_measured(text, "\n\n".join(map(section, reports))))


def with_measured(text: str, measured: str) -> str:
    """The document with another measured part. Raises ValueError where it has no place for one."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the document has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}"


def section(report: dict[str, Any]) -> str:
    """Everything that was measured with one database."""
    found = [*report.get("results", []), *report.get("many", [])]
    verdict = "; ".join(report.get("violations", [])) or "clean"
    parts = [
        f"## {_title(report)}\n\n{_machine(report)} The audit afterwards: {verdict}. {_GOALS}",
        _table(_RESULTS, [_result(result) for result in found]),
        "### What it costs\n\nCPU in milliseconds of a request, memory in megabytes"
        " afterwards, and what the databases were asked for each request.\n\n"
        + _table(_COSTS, [_cost(result) for result in found]),
    ]
    if report.get("two"):
        rows = [_result(result) for result in report["two"]]
        parts.append("### Two web processes\n\n" + _table(_RESULTS, rows))
    if report.get("growth"):
        parts.append(_growth(report))
    return "\n\n".join(parts)


# --- tables ---------------------------------------------------------------------------------------

_RESULTS = ("scenario", "per second", "p50 ms", "p95 ms", "p99 ms", "errors", "floor",
            "ratio", "goal")  # fmt: skip
_COSTS = ("scenario", "CPU", "memory", "operations")


def _title(report: dict[str, Any]) -> str:
    return _TITLES.get(report["database"], f"`{report['database']}` in its place")


def _machine(report: dict[str, Any]) -> str:
    machine = report["machine"]
    quiet = f"load at the start {machine['load']:.1f}"
    return (
        f"{report['date']}, {machine['cores']} cores, {machine['system']},"
        f" Python {machine['python']}, {quiet}, {report['seconds']} s in all."
    )


def _result(result: dict[str, Any]) -> tuple[str, ...]:
    goal = GOALS.get(result["name"], Goal())
    missed = goal.missed(result)
    floor, ratio = result["floor_rate"], result["ratio"]
    return (
        result["about"],
        _marked(f"{result['rate']:,.0f}", "rate" in missed),
        *(_marked(f"{result[name]:.1f}", name in missed) for name in ("p50", "p95", "p99")),
        f"{result['errors']:,}",
        "-" if floor is None else f"{floor:,.0f}",
        _marked("-" if ratio is None else f"{ratio:.2f}", "ratio" in missed),
        goal.text(),
    )


def _marked(text: str, missed: bool) -> str:
    return f"**{text}**" if missed else text


def _cost(result: dict[str, Any]) -> tuple[str, ...]:
    used = result["cpu_ms"]
    parts = [name for name in sorted(used, key=lambda name: -used[name]) if used[name] >= 0.01][:5]
    memory = [f"{name} {result['memory_mb'][name]:.0f}" for name in parts]
    if pages := result["notes"].get("pages_mb"):
        memory.append(f"the pages themselves {pages}")
    asked = [f"{name} {count:.1f}" for name, count in result["operations"].items() if count >= 0.05]
    return (
        result["about"],
        ", ".join(f"{name} {used[name]:.2f}" for name in parts),
        ", ".join(memory),
        ", ".join(asked) or "none",
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# --- growth ---------------------------------------------------------------------------------------


def _growth(report: dict[str, Any]) -> str:
    parts = ["### With more data"]
    for number, unit in enumerate(_units(report)):
        series = [each for each in report["growth"] if each["unit"] == unit]
        amounts = [f"{point['amount']:,}" for point in series[0]["points"]]
        rows = [
            (each["about"], *(f"{p['rate']:,.0f}/s, p95 {p['p95']:.1f}" for p in each["points"]))
            for each in series
        ]
        parts.append(f"![Rates by {unit}](performance/{_picture(report, number)})")
        parts.append(_table((f"by {unit}", *amounts), rows))
    return "\n\n".join(parts)


def pictures(report: dict[str, Any]) -> dict[str, str]:
    """A plot for each thing that there is more and more of, by the name of its file."""
    return {
        _picture(report, number): plot.lines(
            "Requests a second, as a share of those with the least data",
            unit,
            {
                each["about"]: _relative(each["points"])
                for each in report["growth"]
                if each["unit"] == unit
            },
        )
        for number, unit in enumerate(_units(report))
    }


def _units(report: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(each["unit"] for each in report.get("growth", [])))


def _picture(report: dict[str, Any], number: int) -> str:
    return f"{report['database']}-{number + 1}.svg"


def _relative(points: list[dict[str, Any]]) -> list[plot.Point]:
    first = points[0]["rate"] or 1.0
    return [(point["amount"], point["rate"] / first) for point in points]


if __name__ == "__main__":
    renew()
