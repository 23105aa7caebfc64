"""Tables for spreadsheets (RFC 4180), a line at a time."""

import csv
import io
from collections.abc import Iterable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
MARK = "\ufeff"  # without it, spreadsheets take UTF-8 for something else


def harmless(text: str) -> str:
    """A text that a spreadsheet would run as a formula becomes one that it shows."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def line(values: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(values)
    return text.getvalue()
