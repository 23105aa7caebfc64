"""Load on one web server: prepared requests in turn, over many connections, by wrk."""

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import client
from bench.figures import Sample

SCRIPT = Path(__file__).with_name("wrk.lua")
END = b"\x01"  # of a request in the file that the script reads
THREADS = 1  # of wrk: one is faster than any server here, and leaves them the other core


@dataclass(frozen=True)
class Load:
    """What is sent, whereto, and over how many connections at once."""

    port: int
    requests: Sequence[bytes]
    connections: int = 32
    statuses: bool = False  # whether answers are counted by status, which costs wrk some speed

    def wait(self) -> None:
        """Until the first of the requests is answered."""

        async def send() -> None:
            connection = client.Connection(self.port)
            await connection.send(self.requests[0])
            connection.close()

        asyncio.run(send())

    def measure(self, seconds: float) -> Sample:
        """Send for so long, and say what came of it."""
        with tempfile.NamedTemporaryFile(prefix="bench-") as file:
            file.write(END.join(self.requests) + END)
            file.flush()
            if program := shutil.which("wrk"):
                return self._wrk(program, file.name, seconds)
            return client.measure(self.port, self.requests, self.connections, seconds)

    def _wrk(self, program: str, file: str, seconds: float) -> Sample:
        options = ["-t", str(THREADS), "-c", str(self.connections), "-d", f"{max(1, seconds):.0f}s"]
        url = f"http://127.0.0.1:{self.port}/"
        more = ["--timeout", "10s", "-s", str(SCRIPT), url, "--", file]
        command = [program, *options, *more, *(["statuses"] if self.statuses else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - a program of the system
        return Sample(**json.loads(done.stdout.splitlines()[-1]))


def request(
    method: str,
    path: str,
    body: Any = None,
    token: str = "",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """A whole request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if token:
        lines.append(f"Cookie: session={token}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    data = b"" if body is None else json.dumps(body).encode()
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    return "\r\n".join([*lines, "", ""]).encode() + data
