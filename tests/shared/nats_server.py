"""A NATS server that a test may kill and start again on the same port and the same folder."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import nats
from nats.js import JetStreamContext

from dev.stack.ports import free_port
from tests.waiting import wait_until

T = TypeVar("T")


@dataclass
class NatsServer:
    folder: Path
    port: int = field(default_factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> "NatsServer":
        program = Path(sys.executable).with_name("nats-server")
        place = ["-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.folder)]
        with (self.folder.parent / "nats.log").open("ab") as log:
            self._process = subprocess.Popen([program, *place], stdout=log, stderr=log)
        wait_until(self._answers, "NATS to answer")
        return self

    def kill(self) -> None:
        """As a crash ends it: at once, with nothing tidied up."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def ask(self, question: Callable[[JetStreamContext], Coroutine[Any, Any, T]]) -> T:
        """Look at JetStream, or change it, from outside: on a connection of its own."""

        async def connected() -> T:
            client = await nats.connect(self.url, connect_timeout=1, allow_reconnect=False)
            try:
                return await question(client.jetstream(timeout=2))
            finally:
                await client.close()

        return asyncio.run(connected())

    def count(self, stream: str = "EVENTS") -> int:
        """How many messages a stream holds."""
        return self.ask(lambda js: js.stream_info(stream)).state.messages

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "NATS ended while it was starting"
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            self.ask(lambda js: js.account_info())
        except (OSError, nats.errors.Error):
            return False
        return True
