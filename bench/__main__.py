"""`python -m bench`: what the system does at the most, beside what the machine does at the most."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Protocol

from bench import table
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


def main() -> None:
    given = _parser().parse_args()
    names = given.only or [scenario.name for scenario in SCENARIOS]
    chosen = [scenario for scenario in SCENARIOS if scenario.name in names]
    begun = time.monotonic()
    results: list[Result] = []
    effort = QUICK if given.quick else FULL
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        started(Path(folder), effort, given.database) as ground,
    ):
        print(table.HEAD)
        for scenario in chosen:
            results.append(scenario.run(ground))
            print(table.line(results[-1].to_json()), flush=True)
        violations = ground.violations()
        print("\n".join(violations) or "audit: clean")
    print(f"{time.monotonic() - begun:.0f} s")
    if given.out:
        found = [result.to_json() for result in results]
        report = {"results": found, "violations": violations}
        given.out.write_text(json.dumps(report, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter, within two minutes")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--database", default="", help="program of another MongoDB-speaking server")
    parser.add_argument("--out", type=Path, help="file for all figures, as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
