"""Money between what people see and what is stored, and other fields of requests."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.fields import LARGEST, MINIMUM, NO_DECIMALS, to_major, to_minor, to_text

CURRENCIES = sorted(MINIMUM)
currencies = st.sampled_from(CURRENCIES)


@st.composite
def amounts(draw: st.DrawFn) -> tuple[int, str]:
    currency = draw(currencies)
    return draw(st.integers(MINIMUM[currency], LARGEST)), currency


@given(amounts())
def test_what_people_see_is_read_back_as_what_was_stored(money: tuple[int, str]):
    amount, currency = money
    assert to_minor(Decimal(str(to_major(amount, currency))), currency) == amount


@given(amounts())
def test_a_price_in_json_has_the_shortest_form(money: tuple[int, str]):
    amount, currency = money
    price = to_major(amount, currency)
    assert Decimal(str(price)) == (
        Decimal(amount) if currency in NO_DECIMALS else Decimal(amount) / 100
    )
    assert isinstance(price, int) == (currency in NO_DECIMALS or amount % 100 == 0)


@given(amounts())
def test_an_amount_as_people_read_it_is_that_amount(money: tuple[int, str]):
    amount, currency = money
    number, code = to_text(amount, currency).split(" ")
    assert code == currency.upper()
    assert to_minor(Decimal(number.replace(",", "")), currency) == amount


@given(amounts(), st.integers(1, 9), st.integers(1, 15))
def test_a_digit_too_many_is_refused(money: tuple[int, str], digit: int, place: int):
    amount, currency = money
    places = place + (0 if currency in NO_DECIMALS else 2)
    price = Decimal(str(to_major(amount, currency))) + Decimal(digit).scaleb(-places)
    with pytest.raises(ValueError, match=r"must have (no|at most 2) decimals in [A-Z]{3}$"):
        to_minor(price, currency)


@pytest.mark.parametrize("currency", CURRENCIES)
def test_the_smallest_and_the_largest_amount_are_taken_and_no_more(currency: str):
    unit = Decimal(1) if currency in NO_DECIMALS else Decimal("0.01")
    smallest, largest = MINIMUM[currency] * unit, LARGEST * unit
    assert to_minor(smallest, currency) == MINIMUM[currency]
    assert to_minor(largest, currency) == LARGEST
    with pytest.raises(ValueError, match="must be at least"):
        to_minor(smallest - unit, currency)
    with pytest.raises(ValueError, match="must be at most"):
        to_minor(largest + unit, currency)


@pytest.mark.parametrize("price", ["0", "-0", "-1", "-20.5"])
@pytest.mark.parametrize("currency", CURRENCIES)
def test_nothing_and_less_is_no_price(price: str, currency: str):
    with pytest.raises(ValueError, match=r"must (be at least|have no decimals)"):
        to_minor(Decimal(price), currency)


@pytest.mark.parametrize(
    ("amount", "currency", "major", "text"),
    [
        (1999, "usd", 19.99, "19.99 USD"),
        (2000, "usd", 20, "20.00 USD"),
        (2050, "eur", 20.5, "20.50 EUR"),
        (123456789, "gbp", 1234567.89, "1,234,567.89 GBP"),
        (4500, "jpy", 4500, "4,500 JPY"),
    ],
)
def test_amounts_as_clients_and_people_see_them(amount: int, currency: str, major: Any, text: str):
    assert to_major(amount, currency) == major
    assert to_text(amount, currency) == text
