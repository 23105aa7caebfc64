"""What an operator does by the command line."""

import os
import subprocess
import sys

from dev.cli import environment
from tests.system.world import PASSWORD, Person, World


def new_admin(world: World) -> Person:
    """Somebody who was made an admin; who is signed in already signs in again."""
    person = world.person()
    command = [sys.executable, "-m", "ticketing", "accounts", "grant-admin", person.email]
    env = {**os.environ, **environment(world.stack.run, ["auth"])}
    subprocess.run(command, env=env, check=True, capture_output=True, timeout=60)
    body = {"email": person.email, "password": PASSWORD}
    person.post("/api/users/signin", body).expect(200)
    return person
