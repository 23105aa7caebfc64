"""What differs on every page of a kind: who looks at it, and when.

A page that is the same for everyone but for these is rendered once with marks in their place, cut
at the marks, and put together for each reader. Nothing that people have typed can be taken for a
mark, as templates escape it.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from flask import current_app, g, render_template
from jinja2 import Template
from markupsafe import Markup

from shared import identity
from shared.errors import Unavailable
from shared.people import User

_TIME = Markup("<!--the time-->")
_VISITOR = Markup("<!--the visitor-->")
_MENUS = 1_000  # that are remembered, of a kilobyte each


class Unframed(NamedTuple):
    """A page without its time and its visitor, in the order in which it is sent."""

    until_time: bytes
    until_visitor: bytes
    rest: bytes
    menu: Template

    def for_visitor(self, visitor: User | None) -> bytes:
        """The page for this person, or for somebody who is not signed in."""
        time, menu = iso(now()).encode(), _menu(self.menu, visitor).encode()
        return b"".join((self.until_time, time, self.until_visitor, menu, self.rest))


def unframed(template: str, **context: object) -> Unframed:
    """A page to be put together for one visitor after the other."""
    g.unframed = True
    try:
        text = render_template(template, **context)
    finally:
        del g.unframed
    until_time, later = text.split(_TIME)
    until_visitor, rest = later.split(_VISITOR)
    return Unframed(until_time.encode(), until_visitor.encode(), rest.encode(), _template())


# --- in templates ---------------------------------------------------------------------------------


def server_time() -> Markup | str:
    return _TIME if "unframed" in g else iso(now())


def visitor_menu() -> Markup:
    return _VISITOR if "unframed" in g else _menu(_template(), who())


def who() -> User | None:
    """Who reads this page. While nobody can be checked, a page is shown all the same."""
    if "unframed" in g:
        raise RuntimeError("a page for everyone must not depend on who looks at it")
    try:
        return identity.who()
    except Unavailable:
        return None


def now() -> datetime:
    return datetime.now(UTC)


def iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _template() -> Template:
    return current_app.jinja_env.get_template("visitor.html")


def _menu(template: Template, visitor: User | None) -> Markup:
    return _rendered(template, visitor.email, visitor.role) if visitor else _rendered(template)


@lru_cache(_MENUS)
def _rendered(template: Template, email: str = "", role: str = "") -> Markup:
    return Markup(template.render(email=email, role=role))  # noqa: S704 - rendered by our own template
