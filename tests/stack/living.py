"""Which processes of a group still live; a dead one that nobody has fetched yet does not."""

import os
from collections.abc import Iterable

import psutil


def living(groups: Iterable[int]) -> list[str]:
    """The command lines of all living members of these process groups."""
    wanted = set(groups)
    return [line for process in psutil.process_iter() if (line := _line(process, wanted))]


def _line(process: psutil.Process, groups: set[int]) -> str:
    try:
        if os.getpgid(process.pid) in groups and process.status() != psutil.STATUS_ZOMBIE:
            words = process.cmdline()  # none: it has given its memory back and is about to be gone
            return f"{process.pid} {' '.join(words)}" if words else ""
    except (psutil.NoSuchProcess, ProcessLookupError):
        pass  # It ended while we looked, which is what the caller hopes for.
    return ""
