"""Carries the schedule out on a running stack, and heals it at the end."""

import json
import os
import signal
import threading
import time
import urllib.request
from typing import Any

from dev.chaos.history import History
from dev.chaos.schedule import PARTS, Fault
from dev.stack import Stack
from dev.stack.client import StackError
from shared.bus import Bus, Message

SIGNALS = {
    "kill": signal.SIGKILL,
    "restart": signal.SIGTERM,
    "freeze": signal.SIGSTOP,
    "thaw": signal.SIGCONT,
}
HEALED = 120.0  # seconds that all parts may take to be ready again


class Saboteur:
    def __init__(self, stack: Stack, history: History) -> None:
        self._stack, self._history = stack, history
        self.current = ""

    def run(self, faults: list[Fault], stop: threading.Event) -> None:
        """Do everything at its time."""
        began = time.monotonic()
        for fault in faults:
            if stop.wait(max(began + fault.at - time.monotonic(), 0)):
                return
            self.current = str(fault)
            self.strike(fault)

    def strike(self, fault: Fault) -> None:
        done = self._do(fault)
        text = str(fault) if done else f"{fault}: could not be done"
        name = f"{fault.kind} {fault.part}".strip()
        self._history.note_fault(text, name if done else "missed")

    def _do(self, fault: Fault) -> bool:
        if fault.kind in SIGNALS:
            return self._signal(fault.part, SIGNALS[fault.kind])
        if fault.kind == "repeat":
            return self._repeat(fault.times)
        if fault.kind == "stripe heals":
            return self._control({"reset": "behaviour"})
        name = "fault" if fault.kind == "stripe" else fault.kind
        return self._control({name: dict(fault.command)})

    def _signal(self, part: str, number: signal.Signals) -> bool:
        """Signal a part with its children; False when it is down anyway."""
        pid = self._stack.parts[part].pid
        if pid <= 1:  # 0 would mean ourselves
            return False
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            return False
        return True

    def _control(self, command: dict[str, Any]) -> bool:
        try:
            stripe_control(self._stack, command)
        except OSError:
            return False
        return True

    def _repeat(self, times: int) -> bool:
        """Publish old events again, under new message ids and in the wrong order."""
        bus = Bus(self._stack.parts["orders-worker"].env["NATS_URL"], "chaos").start()
        try:
            bus.wait_ready(3)
            bus.run(_republish(bus, times), 10)
        except (TimeoutError, OSError):
            return False
        finally:
            bus.close()
        self._history.faults["events repeated"] += times
        return True

    def heal(self) -> None:
        """Let everything go on, and wait until all parts are ready."""
        deadline = time.monotonic() + HEALED
        for part in PARTS:
            self._signal(part, signal.SIGCONT)
        while sick := [part for part in PARTS if self._is_sick(part)]:
            if time.monotonic() > deadline:
                raise StackError(f"not ready after {HEALED:.0f} s: {', '.join(sick)}")
            time.sleep(0.2)
        stripe_control(self._stack, {"reset": "behaviour"})

    def _is_sick(self, part: str) -> bool:
        state = self._stack.parts[part]
        return state.state != "ready" or bool(self._stack.health(part))


async def _republish(bus: Bus, times: int) -> None:
    recent: list[Message] = []
    async for message in bus.read():
        if message is None:
            break
        recent = [*recent[-400:], message]
    for number, message in enumerate(reversed(recent[:: max(len(recent) // times, 1)])):
        name = f"again:{message.sequence}:{time.time()}:{number}"
        await bus.publish(message.subject, message.payload, name)


def stripe_control(stack: Stack, command: dict[str, Any] | None = None) -> dict[str, Any]:
    """Tell the emulator how to behave, or ask how it does. Raises OSError."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.parts['stripe'].port}/control",
        None if command is None else json.dumps(command).encode(),
    )
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - the same
        return json.load(answer)
