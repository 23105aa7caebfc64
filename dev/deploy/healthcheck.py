"""Asks the process of this container for its health; exit code 0 means that it answers 200.

Run as `python -I -S healthcheck.py [path]`: without packages, as it runs every few seconds.
"""

import os
import socket
import sys


def main() -> int:
    path = sys.argv[1] if len(sys.argv) > 1 else "/healthz"
    port = int(os.environ.get("OPS_PORT", "9000"))
    request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.5) as connection:
            connection.sendall(request.encode())
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
    except OSError as error:
        sys.stdout.write(f"port {port}: {error}\n")
        return 1
    # The body says what is missing; the engine shows it in `docker inspect`.
    sys.stdout.write(answer.partition(b"\r\n\r\n")[2].decode(errors="replace") + "\n")
    return 0 if b" 200 " in answer.partition(b"\r\n")[0] else 1


if __name__ == "__main__":
    raise SystemExit(main())
