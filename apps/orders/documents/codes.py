"""The code on a ticket: which unit of which order it is, signed so that nobody can make one up."""

import re
from dataclasses import dataclass

from itsdangerous import BadSignature, Signer

from shared.errors import NotFound

_WRITTEN = re.compile(r"([0-9a-f]{24})-([1-9][0-9]{0,2})")


@dataclass(frozen=True)
class Unit:
    """One of the units of an order, counted from 1."""

    order_id: str
    number: int


@dataclass(frozen=True)
class Codes:
    """`public_url` is where a code leads whoever scans it."""

    secret_key: str
    public_url: str

    def address(self, unit: Unit) -> str:
        """What the QR code says."""
        return f"{self.public_url}/orders/check/{self.make(unit)}"

    def make(self, unit: Unit) -> str:
        return self._signer.sign(f"{unit.order_id}-{unit.number}").decode()

    def read(self, code: str) -> Unit:
        """The unit that a code stands for. Raises NotFound for a code that is not ours."""
        try:
            written = _WRITTEN.fullmatch(self._signer.unsign(code).decode())
        except (BadSignature, UnicodeError):
            written = None
        if written is None:
            raise NotFound("This is not one of our tickets")
        return Unit(written[1], int(written[2]))

    @property
    def _signer(self) -> Signer:
        return Signer(self.secret_key, salt="ticket", sep=".")
