"""The part of flask-login that `shared.identity` uses."""

from collections.abc import Callable
from typing import TypeVar

from flask import Flask, Request
from werkzeug.local import LocalProxy

L = TypeVar("L", bound=Callable[[Request], UserMixin | None])

class UserMixin:
    @property
    def is_authenticated(self) -> bool: ...

class AnonymousUserMixin:
    @property
    def is_authenticated(self) -> bool: ...

class LoginManager:
    session_protection: str | None
    def init_app(self, app: Flask, add_context_processor: bool = True) -> None: ...
    def request_loader(self, callback: L) -> L: ...

current_user: LocalProxy[UserMixin | AnonymousUserMixin]
