"""What the processes of a stack have used, and what its databases were asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import psutil

from bench.figures import Cost, added
from shared.mongo import Store

_COUNTED = ("insert", "query", "update", "delete", "getmore")


@dataclass(frozen=True)
class Usage:
    """Everything so far: seconds of CPU by process, operations by database."""

    cpu: Mapping[str, float]
    operations: Mapping[str, int]

    def since(self, before: "Usage") -> "Usage":
        return Usage(_minus(self.cpu, before.cpu), _minus(self.operations, before.operations))


def now(pids: Mapping[str, int], stores: Mapping[str, Store]) -> Usage:
    cpu = {name: sum(map(_seconds, _tree(pid))) for name, pid in pids.items()}
    return Usage(cpu, {name: _operations(store) for name, store in stores.items()})


def cost(pids: Mapping[str, int], spent: list[Usage]) -> Cost:
    """What several stretches took together, and the memory that each process has now."""
    cpu = {name: sum(each.cpu.get(name, 0.0) for each in spent) for name in pids}
    operations = added(each.operations for each in spent)
    return Cost(cpu, {name: memory(pid) for name, pid in pids.items()}, operations)


def memory(pid: int) -> int:
    """Bytes of a process and those below it, each shared page counted in part."""
    return sum(map(_bytes, _tree(pid)))


def _minus(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, int]:
    # A process that was started again begins at nothing.
    return {name: cast(int, max(0, used - before.get(name, 0))) for name, used in after.items()}


def _operations(store: Store) -> int:
    """Reads and writes that the server counted; other commands, such as pings, are left out."""
    counters = store.client.admin.command("serverStatus").get("opcounters", {})
    return sum(int(counters.get(name, 0)) for name in _COUNTED)


def _tree(pid: int) -> list[psutil.Process]:
    try:
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def _bytes(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
    except psutil.NoSuchProcess:
        return 0
    return cast(int, getattr(full, "pss", full.rss))
