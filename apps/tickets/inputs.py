"""What requests may say. Pages and JSON take the same input."""

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Annotated, Any

from flask import current_app
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from apps.tickets.models import Details
from apps.tickets.store import Page, Search, Sort
from shared.errors import FieldError, InvalidInput
from shared.fields import MINIMUM, IfGiven, Input, Line, Moment, Number, Text, Whole, to_minor
from shared.paging import Cursors, next_url

_YEARS = range(2000, 2200)


def _currency(value: str) -> str:
    code = value.lower()
    if code not in MINIMUM:
        raise ValueError(f"must be one of {', '.join(MINIMUM)}")
    return code


def _utc(value: datetime) -> datetime:
    if value.year not in _YEARS:
        raise ValueError("must be in the years 2000 to 2199")
    value = value.astimezone(UTC)
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def _day(value: Any) -> date:
    """Texts only: a number of a query is no date."""
    try:
        day = date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("must be a date such as 2027-05-01") from None
    if day.year not in _YEARS:
        raise ValueError("must be in the years 2000 to 2199")
    return day


def _none_if_blank(value: str | None) -> str | None:
    return value or None


Currency = Annotated[Text, AfterValidator(_currency)]
StartsAt = Annotated[Moment, AfterValidator(_utc)]
Optional200 = Annotated[
    Annotated[Line, Field(max_length=200)] | None, AfterValidator(_none_if_blank)
]
Optional5000 = Annotated[
    Annotated[Text, Field(max_length=5_000)] | None, AfterValidator(_none_if_blank)
]

LimitPerPerson = Annotated[Whole, Field(ge=1, le=100)]

Day = Annotated[date, BeforeValidator(_day)]
Bound = Annotated[Number, Field(ge=0, le=100_000_000)]


class TicketIn(Input):
    title: Annotated[Line, Field(min_length=1, max_length=200)]
    # Before the price, whose decimals and minimum depend on it.
    currency: Currency = Field("usd", description="ISO 4217 code")
    price: Number = Field(description="of one unit, in major units such as 19.5")
    quantity: Annotated[Whole, Field(ge=1, le=100_000)] = 1
    venue: Optional200 = None
    starts_at: Annotated[StartsAt | None, IfGiven] = None
    description: Optional5000 = None
    limit_per_person: Annotated[LimitPerPerson | None, IfGiven] = Field(
        None, description="units that one person may have in all; no limit where it is left out"
    )

    @field_validator("price")
    @classmethod
    def _price_fits_currency(cls, value: Decimal, info: ValidationInfo) -> Decimal:
        if currency := info.data.get("currency"):
            to_minor(value, currency)
        return value

    @property
    def details(self) -> Details:
        return Details(
            title=self.title,
            unit_amount=to_minor(self.price, self.currency),
            currency=self.currency,
            quantity=self.quantity,
            venue=self.venue,
            starts_at=self.starts_at,
            description=self.description,
            limit_per_person=self.limit_per_person,
        )

    @property
    def digest(self) -> str:
        """Tells whether two requests under one key say the same."""
        return hashlib.sha256(self.model_dump_json(exclude_unset=True).encode()).hexdigest()


class ChangeIn(TicketIn):
    """What a client says of a ticket that exists: what it leaves out stays as it is.

    Clients that know nothing but title and price must not shrink 500 tickets to one.
    """

    # Checked against the ticket's own currency, which may differ from the default.
    @field_validator("price")
    @classmethod
    def _price_fits_currency(cls, value: Decimal, info: ValidationInfo) -> Decimal:
        del info
        return value

    def over(self, current: Details) -> Details:
        """The details after the change. Raises InvalidInput for a price of another currency."""
        given = self.model_dump(exclude_unset=True, exclude={"price"})
        currency = given.get("currency", current.currency)
        try:
            amount = to_minor(self.price, currency)
        except ValueError as error:
            raise InvalidInput([FieldError(f"price {error}", "price")]) from None
        return replace(current, **given, unit_amount=amount)


class EditIn(TicketIn):
    """The form of an edit also says which version it began with."""

    version: Whole


class QuantityIn(Input):
    """A new number of units, of the version that the seller saw."""

    quantity: Annotated[Whole, Field(ge=1, le=100_000)]
    version: Whole

    def over(self, current: Details) -> Details:
        return replace(current, quantity=self.quantity)


class PageIn(Input):
    limit: Annotated[Whole, Field(ge=1, le=100)] = 50
    after: str | None = Field(None, description="cursor from the Link header of the page before")


class ListIn(PageIn):
    q: Annotated[Text, Field(max_length=200)] = Field("", description="in the title or the venue")
    sort: Sort = "newest"
    since: Annotated[Day | None, IfGiven] = Field(
        None, alias="from", description="first day, in UTC; leaves out tickets without a date"
    )
    to: Annotated[Day | None, IfGiven] = Field(None, description="last day, in UTC")
    min: Annotated[Bound | None, IfGiven] = Field(
        None, description="lowest price, as a number of major units of any currency"
    )
    max: Annotated[Bound | None, IfGiven] = Field(None, description="highest price")

    @field_validator("to", "max")
    @classmethod
    def _after_its_beginning(cls, value: Any, info: ValidationInfo) -> Any:
        begin, word = {"to": ("since", "before"), "max": ("min", "below")}[str(info.field_name)]
        if value is not None and (first := info.data.get(begin)) is not None and value < first:
            raise ValueError(f"must not be {word} {first}")
        return value

    @property
    def search(self) -> Search:
        return Search(
            sort=self.sort,
            text=self.q,
            since=_midnight(self.since),
            until=_midnight(self.to and self.to + timedelta(days=1)),
            lowest=_hundredths(self.min, ROUND_CEILING),
            highest=_hundredths(self.max, ROUND_FLOOR),
        )


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None


def _hundredths(amount: Decimal | None, rounding: str) -> int | None:
    return None if amount is None else int((amount * 100).to_integral_value(rounding))


def place(kind: str, after: str | None) -> int | None:
    """The place that a cursor stands for. Raises InvalidInput for one of another list."""
    read = _cursors(kind).read(after)
    return read[0] if read else None


def link_to_next(kind: str, page: Page) -> str | None:
    """The address of the page after this one, if there is one."""
    if page.following is None:
        return None
    return next_url(_cursors(kind).make([page.following]))


def _cursors(kind: str) -> Cursors:
    return Cursors(str(current_app.secret_key), f"tickets:{kind}")
