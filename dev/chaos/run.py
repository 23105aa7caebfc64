"""One run from the first sign-up to the verdict."""

import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from dev.chaos.client import Client
from dev.chaos.compare import compare, told
from dev.chaos.faults import Saboteur, stripe_control
from dev.chaos.history import History
from dev.chaos.people import Board, Buyer, Person, Seller
from dev.chaos.schedule import make
from dev.chaos.settings import Settings
from dev.chaos.summary import figures, listed
from dev.cli import environment
from dev.stack import Stack
from ticketing.audit import command, settings, story
from ticketing.audit.facts import AT_REST, Facts, Violation
from ticketing.audit.quiet import Quiet
from ticketing.audit.rounds import Audit, Result

PROGRESS = 5.0  # seconds between two lines
AFTERWARDS = 4.0  # seconds that people go on after everything was healed
CALM = 180.0  # seconds that the system may take to come to rest
STORIES = 5  # violating orders whose story is told


class Run:
    def __init__(self, given: Settings) -> None:
        self._given = given
        self._folder = Path(tempfile.mkdtemp(prefix="ticketing-chaos-"))
        self._history = History(self._folder / "history.jsonl")
        self._stop = threading.Event()
        self._people: list[Person] = []
        self._stack = Stack(
            self._folder / "data",
            {
                "SEED": "0",
                "RATE_LIMITS": "0",
                "VERIFY_EMAIL": "0",
                "HOLD_SECONDS": str(given.hold),
            },
        )

    def run(self) -> int:
        """Exit code 0 if every promise was kept."""
        given = self._given
        print(
            f"chaos: seed {given.seed}, {given.seconds:.0f} s, {given.buyers} buyers, "
            f"{given.sellers} sellers, a reservation holds {given.hold} s"
        )
        failed = True
        try:
            with self._stack:
                self._sign_up()
                self._suffer()
                failed = self._judge()
        finally:
            self._history.close()
            for person in self._people:
                person.client.close()
            if failed or given.keep:
                print(f"history, data and logs are kept in {self._folder}")
            else:
                shutil.rmtree(self._folder)
        return int(failed)

    # --- people and faults ----------------------------------------------------------------------

    def _sign_up(self) -> None:
        board = Board()
        names = [f"buyer{number}" for number in range(self._given.buyers)]
        names += [f"seller{number}" for number in range(self._given.sellers)]
        for name in names:
            client = Client(self._stack.port, name, self._history)
            client.sign_up(f"{name}@example.com")
            dice = random.Random(f"{name} {self._given.seed}")  # noqa: S311 - repeatable
            kind = Buyer if name.startswith("buyer") else Seller
            self._people.append(kind(client, board, dice, self._stop))

    def _suffer(self) -> None:
        """Let people and faults loose; at the end everything is healed and everybody goes home."""
        saboteur = Saboteur(self._stack, self._history)
        threads = [
            threading.Thread(target=person.live, name=person.client.who) for person in self._people
        ]
        for thread in threads:
            thread.start()
        try:
            faults = make(self._given.seed, self._given.seconds)
            worker = threading.Thread(target=saboteur.run, args=(faults, self._stop), name="faults")
            worker.start()
            self._watch(self._given.seconds, saboteur)
            worker.join()
            print("healing")
            saboteur.heal()
            self._watch(AFTERWARDS, saboteur)
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _watch(self, seconds: float, saboteur: Saboteur) -> None:
        ending = time.monotonic() + seconds
        while (left := ending - time.monotonic()) > 0:
            time.sleep(min(PROGRESS, left))
            print(self._progress(saboteur.current), flush=True)

    def _progress(self, fault: str) -> str:
        history = self._history
        down = [part.name for part in self._stack.parts.values() if part.state != "ready"]
        return (
            f"{history.now:6.0f} s  {len(history.answers)} answers, "
            f"{history.count('POST', '/api/orders', 201)} orders, "
            f"{history.count('POST', '/api/payments', 201)} payments  "
            f"last fault: {fault or '-'}  down: {', '.join(down) or '-'}"
        )

    # --- the verdict ----------------------------------------------------------------------------

    def _judge(self) -> bool:
        """Whether a promise was broken."""
        env = environment(self._stack.run)
        with command.opened(settings.read(env)) as audit:
            restless = self._calm_down(audit)
            result = audit.run(AT_REST)
            audit_of_answers = compare(self._history, result.facts, told(audit))
            violations = [*result.violations, *audit_of_answers]
            print(command.as_text(Result(result.facts, result.counts, violations)))
            print("\n".join(self._summary(result.facts, violations)))
            if restless:
                print(f"\nVIOLATION not quiet after {CALM:.0f} s: {restless}")
            self._tell_stories(audit, violations, result.facts)
        return bool(violations or restless or result.facts.letters)

    def _calm_down(self, audit: Audit) -> str:
        deadline = time.monotonic() + CALM
        while stripe_control(self._stack)["pending_webhooks"] and time.monotonic() < deadline:
            time.sleep(0.5)
        return Quiet(audit.databases, audit.history.bus).wait(deadline - time.monotonic())

    def _summary(self, facts: Facts, violations: list[Violation]) -> list[str]:
        history = self._history
        statuses = Counter(order.terms.status for order in facts.orders.values())
        lines = ["", "figures", *listed(figures(self._given, history, facts, violations))]
        lines += ["what clients were told"]
        lines += listed(_sorted(history.outcomes()))
        lines += ["orders as they are now", *listed(_sorted(statuses))]
        lines += ["payments as they are now at Stripe"]
        lines += listed(_sorted(Counter(i.status for many in facts.intents.values() for i in many)))
        lines += ["faults", *listed(_sorted(history.faults))]
        restarts = Counter({p.name: p.restarts for p in self._stack.parts.values() if p.restarts})
        lines += ["restarts", *listed(_sorted(restarts))]
        gave_up = Counter(text for person in self._people for text in person.gave_up)
        lines += ["given up by clients", *listed(_sorted(gave_up))] if gave_up else []
        return lines

    def _tell_stories(self, audit: Audit, violations: list[Violation], facts: Facts) -> None:
        ids = [key for violation in violations for key in sorted(violation.ids)]
        orders = list(dict.fromkeys(key for key in ids if key in facts.orders))
        for order in orders[:STORIES]:
            print()
            for line in story.tell(audit, order):
                print(line)
            for answer in self._history.answers:
                if order in f"{answer.path} {answer.sent} {answer.body}":
                    print(f"    told {answer}")
        sys.stdout.flush()


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
