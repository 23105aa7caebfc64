"""One way to reach MongoDB: durable writes, majority reads, and errors that say what helps."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import (
    ConnectionFailure,
    CursorNotFound,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    WaitQueueTimeoutError,
    WriteConcernError,
)

from shared.config import MongoSettings

Document: TypeAlias = dict[str, Any]
Store: TypeAlias = Database[Document]
Documents: TypeAlias = Collection[Document]

# Trouble that passes by itself. Everything that was asked for can be asked again.
TEMPORARY = (
    ConnectionFailure,
    NetworkTimeout,
    ExecutionTimeout,
    CursorNotFound,
    WaitQueueTimeoutError,
    WriteConcernError,
)
_TEMPORARY_CODES = {91, 189, 10107, 11600, 11602, 13435, 13436}  # stepping down, shutting down


def connect(settings: MongoSettings, name: str) -> Store:
    """The service's database. Connects on first use; a write returns when it is safely stored."""
    client: MongoClient[Document] = MongoClient(
        settings.mongo_uri,
        appname=name,
        tz_aware=True,
        w="majority",
        journal=True,
        readConcernLevel="majority",
        serverSelectionTimeoutMS=2_000,
        connectTimeoutMS=2_000,
        socketTimeoutMS=10_000,
    )
    return client[settings.mongo_db or name]


def is_temporary(error: BaseException) -> bool:
    """Whether the same operation may succeed later without anybody changing anything."""
    if isinstance(error, OperationFailure) and error.code in _TEMPORARY_CODES:
        return True
    return isinstance(error, TEMPORARY)


def ping(store: Store) -> None:
    store.client.admin.command("ping")


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Document:
    """The fields of `after` that differ from `before`, for a `$set` that touches nothing else."""
    return {key: value for key, value in after.items() if before.get(key) != value}
