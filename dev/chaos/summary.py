"""The figures of a run, as docs/promises.md lists them."""

from collections import Counter
from collections.abc import Mapping

from dev.chaos.compare import ACKNOWLEDGED
from dev.chaos.history import History
from dev.chaos.settings import Settings
from ticketing.audit.facts import Facts, Violation


def figures(
    given: Settings, history: History, facts: Facts, violations: list[Violation]
) -> dict[str, float]:
    """What goes into the table, from top to bottom."""
    statuses = [order.terms.status for order in facts.orders.values()]
    intents = [intent for many in facts.intents.values() for intent in many]
    faults = history.faults
    return {
        "seed": given.seed,
        "minutes": given.seconds / 60,
        "answers to clients": len(history.answers),
        "of them 5xx or none": sum(not 0 < a.status < 500 for a in history.answers),
        "orders": len(statuses),
        "of them complete": statuses.count("complete"),
        "payments at Stripe": len(intents),
        "captured": sum(intent.captured > 0 for intent in intents),
        "kills": _sum(faults, "kill"),
        "freezes": _sum(faults, "freeze"),
        "restarts asked for": _sum(faults, "restart"),
        "faults of Stripe and its webhooks": faults["stripe"] + faults["webhooks"],
        "duplicated events": facts.duplicates,
        "dead events": len(facts.letters),
        "violations": len(violations),
        "acknowledgements lost": sum(each.check in ACKNOWLEDGED for each in violations),
    }


def _sum(faults: Counter[str], kind: str) -> int:
    return sum(count for name, count in faults.items() if name.startswith(f"{kind} "))


def listed(counts: Mapping[str, float]) -> list[str]:
    """One line for each."""
    return [f"   {name:34} {count:g}" for name, count in counts.items()]
