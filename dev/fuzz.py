"""`python -m dev.fuzz SCHEMATHESIS`: call every JSON route with all that may be sent.

Schemathesis is no part of the lock file: install it anywhere and name its program. It reads the
OpenAPI document of each service on a stack of its own, signed in and not, and says where an
answer is a 5xx, has a status that the document does not name, or another shape. The services are
asked themselves, as the gateway refuses some paths before, in words of its own.
"""

import argparse
import http.client
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from dev.stack import Stack

SERVICES = {"users": "auth", "tickets": "tickets", "orders": "orders", "payments": "payments"}
CHECKS = (
    "not_a_server_error,status_code_conformance,"
    "content_type_conformance,response_schema_conformance"
)
SETTINGS = {"RATE_LIMITS": "0", "VERIFY_EMAIL": "0"}
ACCOUNT = {"email": "fuzz@example.com", "password": "correct horse battery"}
ENDS_THE_SESSION = "/api/users/signout"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=Path, help="schemathesis")
    parser.add_argument("--seconds", type=int, default=60, help="for each document, twice")
    given = parser.parse_args()
    program, seconds = str(given.program.resolve(strict=True)), given.seconds
    with TemporaryDirectory() as folder, Stack(Path(folder) / "data", SETTINGS) as stack:
        cookie = _cookie(stack)
        with ThreadPoolExecutor(2) as pool:  # one nobody, one signed in
            runs = [
                pool.submit(
                    _fuzz, program, seconds, stack.ports[f"{app}-web"], service, who, folder
                )
                for service, app in SERVICES.items()
                for who in ("", cookie)
            ]
        sys.exit(any(run.result() for run in runs))


def _cookie(stack: Stack) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", stack.port)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/api/users/signup", json.dumps(ACCOUNT), headers)
    return (connection.getresponse().getheader("Set-Cookie") or "").partition(";")[0]


def _fuzz(program: str, seconds: int, port: int, service: str, cookie: str, folder: str) -> int:
    url = f"http://127.0.0.1:{port}"
    document = f"{url}/api/{service}/openapi.json"
    options = ["--url", url, "--checks", CHECKS, "--max-time", str(seconds)]
    options += ["--continue-on-failure", "--no-color"]
    options += ["--exclude-path", ENDS_THE_SESSION] if service == "users" else []
    options += ["--header", f"Cookie: {cookie}"] if cookie else []
    ended = subprocess.run(
        (program, "run", document, *options), capture_output=True, text=True, cwd=folder
    )
    print(f"--- {service}, {'signed in' if cookie else 'nobody'}\n{ended.stdout}{ended.stderr}")
    return ended.returncode


if __name__ == "__main__":
    main()
