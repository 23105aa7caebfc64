"""What every client asked and was told, in the order in which the answers came."""

import json
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """One request and what came back; status 0 where nothing did."""

    who: str
    user: str
    method: str
    path: str
    key: str
    sent: Any
    begun: float
    ended: float
    status: int
    body: Any

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def definite(self) -> bool:
        """Whether the client knows by it what came of its request."""
        return self.status not in (0, 408, 429) and self.status < 500

    def get(self, name: str) -> Any:
        """A field of the answer's object."""
        return self.body.get(name) if isinstance(self.body, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - JSON is untyped


class History:
    """Written down as it happens: one JSON object a line, and kept for the comparison."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: list[Answer] = []
        self.faults: Counter[str] = Counter()
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._file = path.open("w")

    @property
    def now(self) -> float:
        """Seconds since the run began."""
        return round(time.monotonic() - self._began, 3)

    def note(self, answer: Answer) -> None:
        with self._lock:
            self.answers.append(answer)
            self._write(asdict(answer))

    def note_fault(self, what: str, count_as: str) -> None:
        with self._lock:
            self.faults[count_as] += 1
            self._write({"at": self.now, "fault": what})

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def outcomes(self) -> Counter[str]:
        """How many requests ended how."""
        with self._lock:
            return Counter(_outcome(answer) for answer in self.answers)

    def count(self, method: str, prefix: str, *statuses: int) -> int:
        with self._lock:
            return sum(
                answer.method == method
                and answer.path.startswith(prefix)
                and answer.status in statuses
                for answer in self.answers
            )


def _outcome(answer: Answer) -> str:
    return str(answer.status) if answer.status else "no answer"
