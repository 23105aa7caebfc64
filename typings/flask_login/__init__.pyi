"""The part of flask-login that `shared.identity` uses."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from flask import Flask, Request
from werkzeug.local import LocalProxy

class Authenticated(Protocol):
    @property
    def is_authenticated(self) -> bool: ...

L = TypeVar("L", bound=Callable[[Request], Authenticated | None])

class LoginManager:
    session_protection: str | None
    def init_app(self, app: Flask, add_context_processor: bool = True) -> None: ...
    def request_loader(self, callback: L) -> L: ...

current_user: LocalProxy[Authenticated]
