"""The addresses of buyers, for those who sell to them: a replica of auth's accounts."""

from collections.abc import Iterable

from pymongo.errors import DuplicateKeyError

from shared.events import UserCreated, UserUpdated
from shared.mongo import Store, find_all

_EPOCH = 2**40  # more versions than an account will ever have within an epoch


class People:
    def __init__(self, store: Store) -> None:
        self._people = store["people"]

    def save(self, event: UserCreated | UserUpdated) -> None:
        """Store the address if the event is not older than what is here; a deleted account's goes.

        The account itself stays known, so that a late event brings no address back.
        """
        order = event.epoch * _EPOCH + event.version
        email = None if event.data.deleted else event.data.email
        try:
            self._people.update_one(
                {"_id": event.data.id, "order": {"$lte": order}},
                {"$set": {"order": order, "email": email}},
                upsert=True,
            )
        except DuplicateKeyError:
            return  # what is here is newer

    def emails(self, ids: Iterable[str]) -> dict[str, str]:
        """The addresses of these people, as far as they have one."""
        found = find_all(self._people, set(ids))
        return {person["_id"]: person["email"] for person in found if person["email"]}
