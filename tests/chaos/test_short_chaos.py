"""A short run with a fixed seed: the same command as the long ones, on every change."""

import os
import subprocess
import sys

# Chosen because its first two minutes kill or freeze nearly everything that money passes through.
SEED = 1943


def test_short_chaos() -> None:
    env = {**os.environ, "MINUTES": "2", "SEED": str(SEED), "BUYERS": "6", "SELLERS": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "dev.chaos"],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "0 violations" in done.stdout
