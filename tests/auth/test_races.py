"""What many do in one moment, on a real database: the rules hold for all of them together."""

from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any, TypeVar

from apps.auth.apitokens import MOST
from apps.auth.models import LastAdmin

from .conftest import PASSWORD, World, post

T = TypeVar("T")
CROWD = 20
ROUNDS = 20


def at_once(act: Callable[[int], T], count: int = CROWD) -> list[T]:
    """What each got who did it in the same moment."""
    ready, got = Barrier(count), list[T]()

    def run(number: int) -> None:
        ready.wait(10)
        got.append(act(number))

    threads = [Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(got) == count
    return got


def test_twenty_rounds_of_twenty_sign_ups_with_one_address_make_one_account_each(
    real: World,
) -> None:
    for number in range(ROUNDS):
        spellings = (f"{name}{number}@example.com" for name in ("ada", "Ada", "ADA", "aDa"))
        emails = [*spellings] * (CROWD // 4)

        def sign_up(which: int, emails: list[str] = emails) -> tuple[int, str]:
            answer = post(real.client(), "signup", email=emails[which], password=PASSWORD)
            return answer.status_code, answer.text if answer.status_code != 201 else ""

        answers = at_once(sign_up)
        assert sorted(status for status, _ in answers) == [201] + [400] * (CROWD - 1)
        assert all("Email in use" in text for status, text in answers if status == 400)
    accounts = real.databases["auth"]["accounts"]
    assert accounts.count_documents({}) == ROUNDS
    assert real.databases["auth"]["sessions"].count_documents({}) == ROUNDS


def test_many_requests_for_tokens_make_no_more_than_are_allowed(real: World) -> None:
    client = real.sign_up()
    cookie = client.get_cookie("session")
    assert cookie is not None
    headers = {"Authorization": f"Bearer {cookie.value}"}

    def grant(number: int) -> int:
        wish = {"name": f"program {number}", "scopes": ["read"], "days": 1}
        return real.client().post("/api/users/tokens", json=wish, headers=headers).status_code

    statuses = at_once(grant, MOST + 10)
    assert sorted(statuses) == [201] * MOST + [400] * 10
    listed: Any = real.client().get("/api/users/tokens", headers=headers).json
    assert len(listed) == MOST
    gone = real.client().delete(f"/api/users/tokens/{listed[7]['id']}", headers=headers)
    assert gone.status_code == 204
    assert sorted(at_once(grant, 3)) == [201, 400, 400]


def test_of_admins_who_all_go_in_one_moment_one_stays(real: World) -> None:
    emails = [f"root{number}@example.com" for number in range(5)]
    for email in emails:
        real.sign_up(email)
        real.service.set_role(real.account(email).id, "admin")

    def go(number: int) -> bool:
        try:
            real.service.set_role(real.account(emails[number]).id, "user")
        except LastAdmin:
            return False
        return True

    stayed = at_once(go, len(emails)).count(False)
    left = real.service.accounts.active_admins()
    assert len(left) == stayed >= 1
