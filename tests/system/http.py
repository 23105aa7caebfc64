"""A client of the gateway: JSON, forms and cookies, one connection for each request."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPException
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

TIMEOUT = 30.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def location(self) -> str:
        """Where the browser is sent."""
        return self.headers["location"]

    @property
    def message(self) -> str:
        """The first thing that is said to be wrong."""
        return self.json["errors"][0]["message"]

    def expect(self, status: int) -> "Answer":
        assert self.status == status, f"{self.status} instead of {status}: {self.text[:2_000]}"
        return self

    def form(self, action: str) -> dict[str, str]:
        """The fields of the form with this action, as the page filled them."""
        forms = _Forms()
        forms.feed(self.text)
        assert action in forms.fields, f"no form for {action}, only {sorted(forms.fields)}"
        return forms.fields[action]


class Unanswered(Exception):  # noqa: N818 - a state, not a mistake
    """The connection ended without an answer: nothing was acknowledged."""


@dataclass
class Client:
    """Somebody with cookies."""

    url: str
    cookies: dict[str, str] = field(default_factory=dict[str, str])
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, headers=_named(headers))

    def post(self, path: str, body: object = None, **headers: str) -> Answer:
        return self.send("POST", path, json.dumps(body or {}), headers=_named(headers))

    def put(self, path: str, body: object, **headers: str) -> Answer:
        return self.send("PUT", path, json.dumps(body), headers=_named(headers))

    def delete(self, path: str) -> Answer:
        return self.send("DELETE", path)

    def submit(self, path: str, fields: Mapping[str, str], **headers: str) -> Answer:
        """Post a form, as a browser does."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        browser = {"Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        extra = {**kind, **browser, **_named(headers)}
        return self.send("POST", path, urlencode(fields), headers=extra)

    def send(
        self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=TIMEOUT)
        try:
            connection.request(method, path, body, self._headers(body) | dict(headers))
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")  # a typeface is no text
        except (OSError, HTTPException) as error:
            raise Unanswered(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        for header in answer.headers.get_all("Set-Cookie", []):
            self._keep(header)
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, text)

    def _headers(self, body: str | None) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookies} if cookies else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return headers | self.headers

    def _keep(self, header: str) -> None:
        for name, morsel in SimpleCookie(header).items():
            if morsel.value:
                self.cookies[name] = morsel.value
            else:
                self.cookies.pop(name, None)


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {re.sub("_", "-", name): value for name, value in headers.items()}


class _Forms(HTMLParser):
    """Collects the named fields of every form, by its action."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, dict[str, str]] = {}
        self._form: dict[str, str] = {}
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        match tag:
            case "form":
                self._form = self.fields.setdefault(given.get("action", ""), {})
            case "input" | "textarea" if "name" in given:
                self._form[given["name"]] = given.get("value", "")
            case "select":
                self._select = given.get("name", "")
            case "option" if self._select not in self._form or "selected" in given:
                self._form[self._select] = given.get("value", "")
            case _:
                pass
