"""A tiny process that ends every part when the supervisor dies without having done so."""

import os
import signal
import time
from contextlib import suppress

GRACE_SECONDS = 5.0


class Guard:
    """The supervisor's side: tells the guard which process groups live."""

    def __init__(self) -> None:
        """Fork the guard; its end of the pipe closes with the supervisor, however that dies."""
        reader, self._pipe = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._pipe)
            _stand_by(reader)
            os._exit(0)
        os.close(reader)

    def watch(self, pid: int) -> None:
        """Answer for the process group of this leader."""
        self._send(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """The group has ended."""
        self._send(f"-{pid}\n")

    def _send(self, line: str) -> None:
        # Without its guard the stack works on; the next start ends leftovers too.
        with suppress(BrokenPipeError):
            os.write(self._pipe, line.encode())

    def dismiss(self) -> None:
        """End the guard after everything else has ended."""
        os.close(self._pipe)
        os.waitpid(self.pid, 0)


def _stand_by(reader: int) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    groups: set[int] = set()
    with os.fdopen(reader) as lines:
        for line in lines:
            (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    end_groups(groups, GRACE_SECONDS)


def end_groups(groups: set[int], grace: float) -> None:
    """Ask the groups to end, wait, then make them."""
    deadline = time.monotonic() + grace
    left = {group for group in groups if send(group, signal.SIGTERM)}
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {group for group in left if send(group, 0)}
    for group in left:
        send(group, signal.SIGKILL)


def send(group: int, number: int) -> bool:
    """Signal a process group; False when it has ended."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says this of a group of which only zombies are left.
        return False
    return True
