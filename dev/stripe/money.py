"""Currencies: the documented smallest amounts, in minor units, and how amounts read."""

from dev.stripe.errors import invalid

MINIMUM = {
    "usd": 50, "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500,
    "dkk": 250, "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000,
    "myr": 200, "nok": 300, "nzd": 50, "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip
MAXIMUM = 99_999_999
WITHOUT_DECIMALS = {"jpy"}


def amount_text(amount: int, currency: str) -> str:
    if currency in WITHOUT_DECIMALS:
        return f"{amount} {currency}"
    return f"{amount // 100:,}.{amount % 100:02} {currency}"


def check(amount: int, currency: str) -> None:
    if currency not in MINIMUM:
        supported = ", ".join(MINIMUM)
        raise invalid(
            f"Invalid currency: {currency}. The emulator supports these currencies: {supported}",
            "currency",
        )
    if amount < MINIMUM[currency]:
        least = amount_text(MINIMUM[currency], currency)
        raise invalid(f"Amount must be at least {least}", "amount", "amount_too_small")
    if amount > MAXIMUM:
        most = amount_text(MAXIMUM, currency)
        raise invalid(f"Amount must be no more than {most}", "amount", "amount_too_large")
