"""Passwords by themselves."""

import pytest
from argon2 import PasswordHasher

from apps.auth.passwords import HASHER, Passwords


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def test_only_the_password_matches(passwords: Passwords) -> None:
    stored = passwords.hash("correct horse")
    assert "correct" not in stored
    assert passwords.matches(stored, "correct horse")
    assert not passwords.matches(stored, "correct horse ")


def test_two_people_with_one_password_have_different_hashes(passwords: Passwords) -> None:
    assert passwords.hash("correct horse") != passwords.hash("correct horse")


def test_nothing_matches_nobody(passwords: Passwords) -> None:
    assert not passwords.matches(None, "the hash that an unknown address is checked against")


def test_what_is_no_hash_matches_nothing(passwords: Passwords) -> None:
    assert not passwords.matches("not a hash", "correct horse")


def test_the_cost_is_what_owasp_asks_of_small_machines() -> None:
    stored = HASHER.hash("correct horse")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
