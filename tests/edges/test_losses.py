"""Edges after something that should never be lost was lost."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ticketing.audit.facts import AT_REST

from .shop import Shop, opened, until

SERVICES = ("orders", "tickets", "payments", "auth")


def ticketing(shop: Shop, service: str, *words: str) -> None:
    """Run an operator's command as the service's own environment has it."""
    done = subprocess.run(
        [sys.executable, "-m", "ticketing", *words],
        env={**os.environ, **shop.stack.parts[f"{service}-worker"].env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def events(shop: Shop, action: str, service: str) -> None:
    ticketing(shop, service, "events", action, service)


def backs_up(shop: Shop, service: str, folder: Path) -> None:
    ticketing(shop, service, "backup", service, "--to", str(folder))


def brings_back(shop: Shop, service: str, folder: Path) -> None:
    ticketing(shop, service, "restore", service, "--from", str(folder))


def closes(shop: Shop, *services: str) -> list[str]:
    """Stop the web and the worker of services; returns these parts."""
    parts = [f"{service}-{role}" for service in services for role in ("worker", "web")]
    for part in parts:
        shop.stack.stop(part)
    return parts


def loses(shop: Shop, *stores: str) -> None:
    """The disks of servers are gone; empty ones take their place."""
    for store in stores:
        shop.stack.stop(store)
        shutil.rmtree(shop.stack.home.path / store)
    for store in stores:
        shop.stack.start_part(store)


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
    for service in SERVICES:
        events(shop, "resync", service)
    assert shop.violations() == []
    again = shop.reserves(unheard)
    shop.pays(again)
    shop.ends(again, "complete")


def test_a_lost_database_comes_back_from_an_older_backup(tmp_path: Path) -> None:
    """The audit tells; what the others know is repaired; what nobody can know is listed."""
    with opened(tmp_path) as shop:
        ticket = shop.sells(quantity=10)
        old = shop.reserves(ticket)
        shop.pays(old)
        shop.ends(old, "complete")
        begun = shop.reserves(ticket)
        assert checks(shop) <= {"expiry"}
        backs_up(shop, "orders", tmp_path)
        shop.pays(begun)
        shop.ends(begun, "complete")
        lost = shop.reserves(ticket)
        shop.pays(lost)
        shop.ends(lost, "complete")
        closed = closes(shop, "orders")
        loses(shop, "orders-db")
        brings_back(shop, "orders", tmp_path)
        found = {violation.check for violation in shop.audit.run(AT_REST).violations}
        assert {"captured", "order replica", "told"} <= found
        _repair(shop, begun)
        opens(shop, closed)
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


def opens(shop: Shop, parts: list[str]) -> None:
    for part in parts:
        shop.stack.start_part(part)


def test_all_stores_are_lost_at_once(tmp_path: Path) -> None:
    """Databases come back from backups; the stream and the alarms are made from them anew."""
    with opened(tmp_path) as shop:
        order = shop.reserves(shop.sells(quantity=3))
        shop.pays(order)
        shop.ends(order, "complete")
        unpaid = shop.reserves(shop.sells())
        assert shop.violations() == []
        for service in SERVICES:
            backs_up(shop, service, tmp_path)
        closed = closes(shop, *SERVICES)
        loses(shop, *(f"{service}-db" for service in SERVICES), "nats", "valkey")
        for service in SERVICES:
            brings_back(shop, service, tmp_path)
            events(shop, "restored", service)
        opens(shop, closed)
        assert until(shop.violations, lambda found: not found) == []
        assert shop.order(order).get("status") == "complete"
        shop.ends(unpaid, "cancelled")
        again = shop.reserves(shop.sells())
        shop.pays(again)
        shop.ends(again, "complete")
