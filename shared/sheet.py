"""Tables for spreadsheets (RFC 4180), a line at a time."""

import csv
import io
from collections.abc import Iterable

# With the wide forms of East Asian keyboards, which spreadsheets there take for the same.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
MARK = "\ufeff"  # without it, spreadsheets take UTF-8 for something else


def harmless(text: str) -> str:
    """A text that a spreadsheet would run as a formula becomes one that it shows."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def line(values: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(values)
    return text.getvalue()
