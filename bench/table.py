"""Figures as text."""

from typing import Any

_LINE = "{:12} {:>9} {:>8} {:>8} {:>8} {:>7} {:>9} {:>6}  {}"
HEAD = _LINE.format(
    "scenario", "per s", "p50 ms", "p95 ms", "p99 ms", "errors", "floor/s", "ratio", ""
)


def line(result: dict[str, Any]) -> str:
    """One scenario, for the terminal."""
    times = (f"{result[name]:.1f}" for name in ("p50", "p95", "p99"))
    floor, ratio = result["floor_rate"], result["ratio"]
    return _LINE.format(
        result["name"], f"{result['rate']:,.0f}", *times, result["errors"],
        "-" if floor is None else f"{floor:,.0f}", "-" if ratio is None else f"{ratio:.2f}",
        _costs(result),
    )  # fmt: skip


def _costs(result: dict[str, Any]) -> str:
    operations = ", ".join(f"{k} {v:.1f}" for k, v in result["operations"].items() if v >= 0.1)
    cpu = sorted(result["cpu_ms"].items(), key=lambda entry: -entry[1])[:4]
    used = ", ".join(f"{name} {spent:.2f}" for name, spent in cpu if spent >= 0.01)
    pages = result["notes"].get("pages_mb")
    return f"operations: {operations or 'none'}; CPU ms: {used}" + (
        f"; the pages take {pages} MB" if pages else ""
    )


def series(found: dict[str, Any]) -> str:
    """One kind of request at several amounts of data, for the terminal."""
    points = (f"{p['amount']:,}: {p['rate']:,.0f}/s p95 {p['p95']:.0f}" for p in found["points"])
    return f"{found['name']:12} by {found['unit']}: {'; '.join(points)}"
