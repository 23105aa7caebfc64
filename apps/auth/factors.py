"""The second factor: six digits of an app (TOTP, RFC 6238), or a recovery code."""

import hashlib
import re
import secrets
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from hmac import compare_digest

import segno
from pyotp import random_base32
from pyotp.totp import TOTP

from apps.auth import models
from apps.auth.links import Links
from apps.auth.models import Account, Factor, LinkSpent
from apps.auth.service import Accounts
from shared import logs
from shared.errors import Refused
from shared.people import User

log = logs.get(__name__)

STEP = 30  # seconds for which an app shows one code
DRIFT = 1  # steps that a clock may be wrong by
RECOVERY_CODES = 10
SETUP, SECOND_STEP = "factor-setup", "second-step"
SETUP_TIME = timedelta(minutes=30)
SECOND_STEP_TIME = timedelta(minutes=10)
ISSUER = "Ticketing"


class CodeNeeded(Refused):
    """The password was right; now the second factor."""

    message = "code is required: the six digits that your app shows, or a recovery code"
    field = "code"

    def __init__(self, account: Account) -> None:
        super().__init__()
        self.account = account


class WrongCode(Refused):
    message = "That code is wrong or was used before; wait for the next one"
    field = "code"


class AlreadyOn(Refused):
    message = "The second factor is on already; turn it off first"


class SetupSpent(LinkSpent):
    message = "That took too long; begin again"
    field = "setup"


@dataclass(frozen=True)
class Setup:
    """A secret to put into an app. Nothing is stored until a code shows that it arrived."""

    secret: str
    uri: str
    signed: str

    @property
    def picture(self) -> str:
        """The QR code of the secret, as the address of an image."""
        code = segno.make(self.uri, error="m", micro=False)
        return code.svg_data_uri(scale=5, border=4, light="#fff")


@dataclass(frozen=True)
class Factors:
    service: Accounts
    links: Links

    def begin(self, user: User) -> Setup:
        """A new secret. Raises AlreadyOn."""
        return self._setup(self._without_factor(user), random_base32())

    def again(self, user: User, signed: str) -> Setup:
        """The same secret, for a form that is shown again. Raises SetupSpent."""
        account = self._without_factor(user)
        return self._setup(account, self._secret(account, signed))

    def turn_on(self, user: User, signed: str, code: str, password: str) -> list[str]:
        """From now on signing in asks for a code; returns the recovery codes, this once."""
        secret = self._secret(self._without_factor(user), signed)
        account = self.service.confirm_password(user, password)
        step = _matching(secret, code)
        if step is None:
            raise WrongCode
        codes = [secrets.token_hex(8) for _ in range(RECOVERY_CODES)]
        factor = Factor(secret, step, tuple(_hash(account.id, each) for each in codes))
        self.service.accounts.aggregates.update(account.id, lambda found: _add(found, factor))
        self.service.audit.note("factor.on", user.id)
        log.info("second factor on", user=user.id)
        return ["-".join(re.findall("....", each)) for each in codes]

    def turn_off(self, user: User, password: str) -> None:
        """Raises WrongPassword."""
        account = self.service.confirm_password(user, password)
        self.service.accounts.aggregates.update(
            account.id, lambda found: models.with_factor(found, None)
        )
        self.service.audit.note("factor.off", user.id)
        log.info("second factor off", user=user.id)

    def require(self, account: Account, code: str | None) -> None:
        """Spend a code. Raises CodeNeeded, and WrongCode for one that was spent."""
        if account.factor is None:
            return
        if not code:
            raise CodeNeeded(account)
        try:
            after = self.service.accounts.aggregates.update(
                account.id, lambda found: _spend(found, code)
            )
        except WrongCode:
            self.service.audit.failed("sign-in.failed", f"user:{account.id}", "wrong code")
            raise
        if after.factor and len(after.factor.recovery) < len(account.factor.recovery):
            self.service.audit.note("factor.recovery-used", account.id)

    # --- between the two steps of signing in

    def second_step(self, account: Account) -> str:
        """Proof, for a few minutes, that the password was right."""
        return self.links.sign(SECOND_STEP, account.id, account.generation)

    def first_step(self, signed: str) -> Account:
        """Who proved their password. Raises LinkSpent."""
        key, generation = self.links.read(SECOND_STEP, signed, SECOND_STEP_TIME)
        return self.service.of_generation(key, generation)

    def _without_factor(self, user: User) -> Account:
        account = self.service.own(user)
        if account.factor:
            raise AlreadyOn
        return account

    def _setup(self, account: Account, secret: str) -> Setup:
        uri = TOTP(secret).provisioning_uri(name=account.email, issuer_name=ISSUER)
        return Setup(secret, uri, self.links.sign(SETUP, account.id, secret))

    def _secret(self, account: Account, signed: str) -> str:
        try:
            key, secret = self.links.read(SETUP, signed, SETUP_TIME)
        except LinkSpent:
            raise SetupSpent from None
        if key != account.id:
            raise SetupSpent
        return secret


def _add(account: Account, factor: Factor) -> tuple[Account, None]:
    if account.factor:
        raise AlreadyOn
    return models.with_factor(account, factor)


def _spend(account: Account, code: str) -> tuple[Account, None]:
    """Each code is good once, so one that was seen over a shoulder opens nothing."""
    factor = account.factor
    if factor is None:  # turned off meanwhile
        return account, None
    step = _matching(factor.secret, code)
    if step is not None and step > factor.last_step:
        return models.with_factor(account, replace(factor, last_step=step))
    hashed = _hash(account.id, re.sub(r"[\s-]", "", code).lower())
    if hashed not in factor.recovery:
        raise WrongCode
    left = tuple(each for each in factor.recovery if each != hashed)
    log.info("recovery code used", user=account.id, left=len(left))
    return models.with_factor(account, replace(factor, recovery=left))


def _matching(secret: str, code: str) -> int | None:
    """The half minute whose code this is, if it is one of now."""
    digits = re.sub(r"\s", "", code).encode()
    now = int(time.time()) // STEP
    steps = range(now - DRIFT, now + DRIFT + 1)
    totp = TOTP(secret, interval=STEP)
    # All are compared, so that the time it takes tells nothing.
    right = [step for step in steps if compare_digest(digits, totp.generate_otp(step).encode())]
    return right[-1] if right else None


def _hash(account_id: str, code: str) -> str:
    """Quick is enough: a recovery code has 64 random bits, which nobody tries out."""
    return hashlib.sha256(f"{account_id}:{code}".encode()).hexdigest()
