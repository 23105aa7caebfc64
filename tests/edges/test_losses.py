"""Edges after something that should never be lost was lost."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ticketing.audit.facts import AT_REST

from .shop import Shop, opened, until

SERVICES = ("orders", "tickets", "payments")


def events(shop: Shop, action: str, service: str) -> str:
    """Run an operator's command as the service's own environment has it."""
    env = {**os.environ, **shop.stack.parts[f"{service}-worker"].env}
    done = subprocess.run(
        [sys.executable, "-m", "ticketing", "events", action, service],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def checks(shop: Shop) -> set[str]:
    return {violation.check for violation in shop.violations()}


def test_the_stream_is_deleted(shop: Shop) -> None:
    """Nothing is wrong but what was on its way; a resync tells it again."""
    order = shop.reserves(shop.sells(quantity=3))
    shop.pays(order)
    shop.ends(order, "complete")
    shop.stack.stop("orders-worker")
    unheard = shop.sells(quantity=2)
    shop.says(unheard, "ticket.created")
    bus = shop.audit.history.bus
    bus.run(bus.jetstream.delete_stream("EVENTS"), 5)
    shop.stack.start_part("orders-worker")
    assert {"ticket replica", "told"} <= checks(shop)
    for service in (*SERVICES, "auth"):
        events(shop, "resync", service)
    assert shop.violations() == []
    again = shop.reserves(unheard)
    shop.pays(again)
    shop.ends(again, "complete")


def test_a_database_restored_from_an_older_copy(tmp_path: Path) -> None:
    """The audit tells; what the others know is repaired; what nobody can know is listed."""
    with opened(tmp_path) as shop:
        ticket = shop.sells(quantity=10)
        old = shop.reserves(ticket)
        shop.pays(old)
        shop.ends(old, "complete")
        begun = shop.reserves(ticket)
        assert checks(shop) <= {"expiry"}
        folder = shop.stack.home.path / "orders-db"
        copy = tmp_path / "backup"
        shop.stack.stop("orders-db")
        shutil.copytree(folder, copy)
        shop.stack.start_part("orders-db")
        shop.pays(begun)
        shop.ends(begun, "complete")
        lost = shop.reserves(ticket)
        shop.pays(lost)
        shop.ends(lost, "complete")
        for part in ("orders-web", "orders-worker", "orders-db"):
            shop.stack.stop(part)
        shutil.rmtree(folder)
        shutil.copytree(copy, folder)
        shop.stack.start_part("orders-db")
        found = {violation.check for violation in shop.audit.run(AT_REST).violations}
        assert {"captured", "order replica", "told"} <= found
        _repair(shop, begun)
        left = until(shop.violations, lambda found: len(found) <= 2)
        assert {violation.check for violation in left} == {"captured", "order replica"}
        assert all(lost in violation.about for violation in left)
        assert shop.order(begun).get("status") == "complete"


def _repair(shop: Shop, order: str) -> None:
    """What docs/promises.md tells an operator to do."""
    events(shop, "restored", "orders")
    until(lambda: shop.document("payments", "payments", order)["order"]["epoch"], bool)
    events(shop, "resync", "tickets")
    events(shop, "resync", "payments")
    for part in ("orders-worker", "orders-web"):
        shop.stack.start_part(part)
