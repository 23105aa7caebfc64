"""The command: arguments, connections, and the report."""

import argparse
import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import stripe
from nats.errors import Error as NatsError
from pymongo.errors import PyMongoError

from shared.bus import connect_once
from ticketing.audit import settings, story
from ticketing.audit.bank import Bank
from ticketing.audit.facts import AT_REST, Bounds, Facts, Violation
from ticketing.audit.quiet import Quiet
from ticketing.audit.rounds import CHECKS, Audit, Result
from ticketing.audit.settings import Settings
from ticketing.audit.sources import Databases
from ticketing.audit.stream import History


def add_command(commands: Any) -> None:
    text = "check that nobody paid without a ticket and no ticket was sold twice"
    parser: argparse.ArgumentParser = commands.add_parser("audit", help=text, description=text)
    parser.add_argument(
        "--wait", type=float, metavar="SECONDS", help="first wait until nothing is under way"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--story", metavar="ORDER", help="print what happened to one order instead")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 if every promise holds, 1 for violations, 2 if the audit can't be made."""
    try:
        with opened(settings.load()) as audit:
            if arguments.story:
                print("\n".join(story.tell(audit, arguments.story)))
                return 0
            return _check(audit, arguments)
    except (PyMongoError, stripe.StripeError, NatsError, TimeoutError) as error:
        sys.stderr.write(f"the audit can't be made: {error or 'NATS does not answer'}\n")
        return 2


@contextmanager
def opened(given: Settings) -> Generator[Audit]:
    """The connections to everything. Raises TimeoutError when NATS does not answer."""
    databases = Databases(given.mongo)
    bus = connect_once(given.nats_url, "ticketing-audit")
    try:
        yield Audit(databases, Bank(given.stripe_key, given.stripe_api_base), History(bus))
    finally:
        bus.close()
        databases.close()


def _check(audit: Audit, arguments: argparse.Namespace) -> int:
    bounds = Bounds()
    if arguments.wait is not None:
        restless = Quiet(audit.databases, audit.history.bus).wait(arguments.wait)
        if restless:
            sys.stderr.write(f"not quiet after {arguments.wait:g} s: {restless}\n")
        else:
            bounds = AT_REST
    result = audit.run(bounds)
    print(json.dumps(as_json(result), indent=1) if arguments.json else as_text(result))
    return 1 if result.violations else 0


def as_text(result: Result) -> str:
    """The report for people."""
    lines = [_count_line(result, check.number, check.name, _intent(check.run)) for check in CHECKS]
    lines += [f"   {name:20} {count}" for name, count in totals(result.facts).items()]
    for letter in result.facts.letters:
        lines.append(f"dead event {letter.sequence} of {letter.consumer}: {letter.reason}")
    for violation in result.violations:
        lines += ["", *_described(violation)]
    return "\n".join([*lines, "", f"{len(result.violations)} violations"])


def _intent(check: object) -> str:
    return (check.__doc__ or "").partition("\n")[0]


def _count_line(result: Result, number: int, name: str, about: str) -> str:
    wrong = sum(violation.check == name for violation in result.violations)
    verdict = f"{wrong} WRONG" if wrong else "ok"
    return f"{number}  {name:15} {result.counts[name]:7}  {verdict:8}  {about}"


def _described(violation: Violation) -> list[str]:
    return [
        f"VIOLATION {violation.check}: {violation.about}",
        f"  expected  {violation.expected}",
        f"  found     {violation.found}",
    ]


def totals(facts: Facts) -> dict[str, int]:
    """Figures that say how much was looked at."""
    sold = sum(o.terms.quantity for o in facts.orders.values() if o.terms.status == "complete")
    return {
        "orders": len(facts.orders),
        "units sold": sold,
        "payments at Stripe": sum(len(intents) for intents in facts.intents.values()),
        "aggregates told of": len(facts.timelines),
        "duplicated events": facts.duplicates,
        "dead events": len(facts.letters),
    }


def as_json(result: Result) -> dict[str, Any]:
    """The report for programs."""
    return {
        "checks": {check.name: result.counts[check.name] for check in CHECKS},
        "totals": totals(result.facts),
        "dead": [
            {"sequence": dead.sequence, "consumer": dead.consumer, "reason": dead.reason}
            for dead in result.facts.letters
        ],
        "violations": [
            {
                "check": violation.check,
                "about": violation.about,
                "expected": violation.expected,
                "found": violation.found,
            }
            for violation in result.violations
        ],
    }
