"""What a run is told by its environment."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

VARIABLES = {
    "MINUTES": "how long people and faults are at work (default 2)",
    "SEED": "repeats the faults and people's choices of another run (default: a new one)",
    "BUYERS": "people who buy at the same time (default 6)",
    "SELLERS": "people who sell at the same time (default 2)",
    "HOLD_SECONDS": "how long a reservation holds (default 8)",
    "KEEP": "1: keep data, logs and history also after a run without violations",
}


class SettingsError(Exception):
    """The environment holds values that can't be used."""


@dataclass(frozen=True)
class Settings:
    seconds: float
    seed: int
    buyers: int
    sellers: int
    hold: int
    keep: bool


def read(environ: Mapping[str, str]) -> Settings:
    """The settings. Raises SettingsError."""

    def number(name: str, default: float) -> float:
        text = environ.get(name, "").strip()
        try:
            value = float(text) if text else default
        except ValueError:
            raise SettingsError(f"{name}={text}: a number is expected") from None
        if value < 0:
            raise SettingsError(f"{name}={text}: must not be negative")
        return value

    return Settings(
        seconds=number("MINUTES", 2) * 60,
        seed=int(number("SEED", secrets.randbelow(1_000_000))),
        buyers=int(number("BUYERS", 6)),
        sellers=int(number("SELLERS", 2)),
        hold=int(number("HOLD_SECONDS", 8)),
        keep=environ.get("KEEP", "") == "1",
    )
