"""The emulator as a process: it keeps what it acknowledged, and ends when it is told to."""

import signal
import subprocess
import sys
import threading
from http.client import HTTPException

import pytest

from tests.stripe.emulator import ROOT, Payments, wait_for

CREATE = "/v1/payment_intents"


def test_kill_and_restart_keep_everything(own_emulator, receiver):
    payments = Payments(own_emulator.client())
    paid = payments.captured()
    waiting = payments.challenged()
    refund = payments.client.v1.refunds.create({"payment_intent": paid.id, "amount": 100})
    keyed = own_emulator.post(CREATE, "amount=900&currency=usd", "k1")
    own_emulator.end(signal.SIGKILL)
    own_emulator.start()

    payments = Payments(own_emulator.client())
    assert payments.api.retrieve(paid.id).to_dict() == paid.to_dict()
    assert payments.client.v1.refunds.retrieve(refund.id).amount == 100
    assert payments.status(waiting.id) == "requires_action"
    again = own_emulator.post(CREATE, "amount=900&currency=usd", "k1")
    assert (again.text, again.headers["Idempotent-Replayed"]) == (keyed.text, "true")


def test_every_acknowledged_write_survives_kills_under_load(own_emulator):
    acknowledged = []

    def write() -> None:
        try:
            while True:
                answer = own_emulator.post(CREATE, "amount=900&currency=usd")
                acknowledged.append(answer.json["id"])
        except (OSError, HTTPException, ValueError):
            return  # The emulator was killed; an answer cut short was no acknowledgement.

    for _ in range(2):
        aim = len(acknowledged) + 40
        writers = [threading.Thread(target=write) for _ in range(4)]
        for writer in writers:
            writer.start()
        wait_for(lambda aim=aim: len(acknowledged) >= aim, "some writes")
        own_emulator.end(signal.SIGKILL)
        for writer in writers:
            writer.join(5)
        own_emulator.start()

    listed = Payments(own_emulator.client()).api.list({"limit": 100})
    kept = {intent.id for intent in listed.auto_paging_iter()}
    assert set(acknowledged) <= kept


def test_webhooks_survive_a_kill(own_emulator, receiver):
    own_emulator.control(webhooks={"mode": "late", "seconds": 0.5})
    intent = Payments(own_emulator.client()).created()
    own_emulator.end(signal.SIGKILL)
    assert receiver.about(intent.id) == []
    own_emulator.start()
    receiver.wait_types(intent.id, "payment_intent.created")


def test_ends_cleanly_even_with_slow_requests(own_emulator):
    own_emulator.control(fault={"kind": "slow", "seconds": 60, "path": CREATE})

    def hang() -> None:
        with pytest.raises((ConnectionError, HTTPException)):
            own_emulator.post(CREATE, "amount=900&currency=usd")

    hanging = threading.Thread(target=hang)
    hanging.start()
    wait_for(lambda: own_emulator.state()["waiting"] == 1, "the slow request")
    own_emulator.process.send_signal(signal.SIGTERM)
    assert own_emulator.process.wait(2) == 0
    hanging.join(5)


def run(*arguments):
    command = [sys.executable, "-m", "dev.stripe", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=5, env={}, check=False
    )


def test_a_second_one_on_the_same_data_is_refused(own_emulator):
    second = run("--port", "0", "--data", str(own_emulator.folder))
    assert second.returncode == 1
    assert "another emulator uses it" in second.stderr


def test_a_used_port_is_refused(own_emulator, tmp_path):
    second = run("--port", str(own_emulator.port), "--data", str(tmp_path / "other"))
    assert second.returncode == 1
    assert "can't listen" in second.stderr


def test_damaged_data_are_reported(tmp_path):
    (tmp_path / "stripe.sqlite3").write_bytes(b"not a database at all" * 100)
    broken = run("--port", "0", "--data", str(tmp_path))
    assert broken.returncode == 1
    assert "delete the folder" in broken.stderr


def test_webhooks_need_a_secret(tmp_path):
    refused = run("--data", str(tmp_path), "--webhook-url", "http://127.0.0.1:1/")
    assert refused.returncode == 2
    assert "STRIPE_WEBHOOK_SECRET" in refused.stderr
