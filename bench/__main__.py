"""`python -m bench`: what the system does at the most, beside what the machine does at the most."""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, Protocol

from bench import document, growth, table
from bench.figures import Result
from bench.ground import FULL, QUICK, Ground, started
from bench.pages import Pages
from bench.purchase import Purchases
from bench.scenarios import HOT, ORDERS, READS, TICKETS
from bench.telling import Telling


class Measured(Protocol):
    """Something that is measured on a running stack."""

    @property
    def name(self) -> str: ...
    def run(self, ground: Ground) -> Result: ...


# What each leaves behind is in the way of those after it, so the heaviest is the last.
SCENARIOS: list[Measured] = [*READS, ORDERS, HOT, Purchases(), Telling(), Pages(), TICKETS]
GROWTH = "growth"
MANY = "list-many"
NAMES = [*(scenario.name for scenario in SCENARIOS), MANY, GROWTH]


def main() -> None:
    parser = _parser()
    given = parser.parse_args()
    if given.publish and (given.quick or given.only):
        parser.error("only a whole run is published")
    signal.signal(signal.SIGTERM, _leave)
    begun = time.monotonic()
    effort = QUICK if given.quick else FULL
    names: list[str] = given.only or [n for n in NAMES if n != GROWTH or not given.quick]
    print(table.HEAD)
    report = _head(given.database)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        with started(Path(folder) / "1", effort, given.database) as ground:
            report |= _ordinary(ground, names)
            if GROWTH not in names:
                report |= _with_much_data(ground, names)
        if GROWTH in names:  # which begins with little
            with started(Path(folder) / "2", effort, given.database) as ground:
                report |= _with_much_data(ground, names)
    report["seconds"] = round(time.monotonic() - begun)
    print(f"{report['seconds']} s")
    if given.out:
        given.out.write_text(json.dumps(report, indent=1) + "\n")
    if given.publish:
        document.publish(report)


def _leave(_signal: int, _frame: object) -> NoReturn:
    """End as an exception would, so that the stack ends with it."""
    sys.exit(1)


def _head(database: str) -> dict[str, Any]:
    """What has to be known of a run to compare it with another one."""
    machine = {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
    }
    name = Path(database).name if database else document.EMBEDDED
    return {"database": name, "date": f"{datetime.now(UTC):%d %B %Y}", "machine": machine}


def _ordinary(ground: Ground, names: list[str]) -> dict[str, Any]:
    chosen = [scenario for scenario in SCENARIOS if scenario.name in names]
    results = [_shown(scenario.run(ground)) for scenario in chosen]
    two = [_shown(result) for result in growth.with_two(ground)] if GROWTH in names else []
    violations = ground.violations()
    print("\n".join(violations) or "audit: clean", flush=True)
    return {"results": results, "two": two, "violations": violations}


def _with_much_data(ground: Ground, names: list[str]) -> dict[str, Any]:
    """The last on a stack: most data are written behind the services' backs."""
    series = growth.run(ground) if GROWTH in names else []
    for each in series:
        print(table.series(each), flush=True)
    many = [_shown(growth.long_list(ground))] if MANY in names else []
    return {"growth": series, "many": many}


def _shown(result: Result) -> dict[str, Any]:
    found = result.to_json()
    print(table.line(found), flush=True)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter, within two minutes")
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--database", default="", help="program of another MongoDB-speaking server")
    parser.add_argument("--publish", action="store_true", help="renew docs/performance.md with it")
    parser.add_argument("--out", type=Path, help="file for all figures, as JSON")
    return parser


if __name__ == "__main__":
    main()
