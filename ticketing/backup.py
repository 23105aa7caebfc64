"""`ticketing backup` and `ticketing restore`: one service's database, as files.

A backup is a folder: a compressed file of BSON for each collection, laid out as `mongodump --gzip`
does, and a manifest that is written last. It needs the address of the database and nothing else.
"""

import argparse
import gzip
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.errors import PyMongoError

from shared import mongo
from shared.config import MongoSettings, load
from shared.mongo import Store

SERVICES = ["auth", "tickets", "orders", "payments"]
MANIFEST = "manifest.json"
TIME = "%Y%m%dT%H%M%SZ"
UNFINISHED = timedelta(days=1)  # after which a backup was given up
BATCH = 1_000
# Documents are copied as they are: nothing is lost by reading and writing them.
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


class BackupError(Exception):
    """What can't be backed up or restored, and why; the text is for an operator."""


def add_commands(commands: Any) -> None:
    text = "write a service's database to a new folder"
    backup: argparse.ArgumentParser = commands.add_parser("backup", help=text, description=text)
    backup.add_argument("service", choices=SERVICES)
    backup.add_argument("--to", type=Path, required=True, help="where backups are")
    backup.add_argument("--keep", type=int, metavar="DAYS", help="delete those that are older")
    backup.set_defaults(run=_backup)
    text = "bring a service's database back; stop its web and worker first"
    restore: argparse.ArgumentParser = commands.add_parser("restore", help=text, description=text)
    restore.add_argument("service", choices=SERVICES)
    restore.add_argument(
        "--from", dest="folder", type=Path, required=True, help="where backups are"
    )
    restore.add_argument("--at", metavar="TIME", help="such as 20260131T031500Z; else the newest")
    restore.add_argument("--replace", action="store_true", help="delete what the database holds")
    restore.set_defaults(run=_restore)


@contextmanager
def _store(service: str) -> Generator[Store]:
    """The service's database; what goes wrong with it ends the command with a sentence."""
    store = mongo.connect(load(MongoSettings), service)
    try:
        yield store
    except (BackupError, PyMongoError, OSError) as error:
        sys.exit(f"{service}: {error}")
    finally:
        store.client.close()


def _backup(given: argparse.Namespace) -> int:
    with _store(given.service) as store:
        folder, files = _write(store, given.to, given.service)
        print(f"{folder}: {_total(files)}")
        if given.keep is not None:
            _forget(given.to, given.service, timedelta(days=given.keep))
    return 0


def _write(store: Store, to: Path, service: str) -> tuple[Path, dict[str, Any]]:
    now = datetime.now(UTC)
    final = to / f"{service}-{now.strftime(TIME)}"
    draft = final.with_suffix(".part")
    os.umask(0o077)  # it holds names, addresses and hashes of passwords
    draft.mkdir(parents=True)
    files = dump(store, draft)
    manifest = {"service": service, "time": now.strftime(TIME), "files": files}
    (draft / MANIFEST).write_text(json.dumps(manifest, indent=1))
    for written in (*draft.iterdir(), draft):
        _to_disk(written)
    draft.rename(final)
    _to_disk(to)
    return final, files


def _to_disk(path: Path) -> None:
    """A power loss must not leave a finished name on files that are empty."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def dump(store: Store, folder: Path) -> dict[str, Any]:
    """Every collection as it was at one moment, where the server can read so."""
    files: dict[str, Any] = {}
    with store.client.start_session(snapshot=_keeps_moments(store)) as session:
        for name in sorted(store.list_collection_names()):
            batches = store[name].find_raw_batches(session=session, batch_size=BATCH)
            with gzip.open(folder / f"{name}.bson.gz", "wb", compresslevel=3) as file:
                # The library's types say that these are documents; they are bytes.
                count = sum(_append(file, cast("bytes", batch)) for batch in batches)
            files[name] = {"documents": count, "sha256": _digest(folder, name)}
    return files


def _keeps_moments(store: Store) -> bool:
    """Replica sets and the routers of clusters do; a server that stands alone refuses to."""
    hello = store.client.admin.command("hello")
    return "setName" in hello or hello.get("msg") == "isdbgrid"


def _append(file: gzip.GzipFile, batch: bytes) -> int:
    """Write documents as they came; returns how many. Each begins with its own length."""
    file.write(batch)
    count = at = 0
    while at < len(batch):
        at += int.from_bytes(batch[at : at + 4], "little")
        count += 1
    return count


def _forget(folder: Path, service: str, age: timedelta) -> None:
    """Delete older backups, and what was never finished; the newest one stays."""
    now = datetime.now(UTC)
    before, given_up = (f"{service}-{(now - a).strftime(TIME)}" for a in (age, UNFINISHED))
    for old in _complete(folder, service)[:-1]:
        if old.name < before:
            shutil.rmtree(old)
    for draft in folder.glob(f"{service}-*.part"):
        if draft.name < given_up:  # another one may be under way
            shutil.rmtree(draft)


def _complete(folder: Path, service: str) -> list[Path]:
    """Finished backups, the oldest first."""
    return sorted(p.parent for p in folder.glob(f"{service}-*Z/{MANIFEST}"))


def _restore(given: argparse.Namespace) -> int:
    with _store(given.service) as store:
        folder = _chosen(given.folder, given.service, given.at)
        files = _checked(folder, given.service)
        _empty(store, given.replace)
        for name in files:
            documents = _documents(folder, name)
            while batch := list(islice(documents, BATCH)):
                store.get_collection(name, RAW).insert_many(batch)
    print(f"{folder}: {_total(files)}")
    print(f"next: ticketing events restored {given.service}")
    return 0


def _empty(store: Store, replace: bool) -> None:
    names = store.list_collection_names()
    held = sorted(name for name in names if store[name].find_one({}, {"_id": 1}))
    if held and not replace:
        raise BackupError(f"the database holds {', '.join(held)}; --replace deletes that")
    for name in names:
        store.drop_collection(name)


def _chosen(folder: Path, service: str, time: str | None) -> Path:
    found = _complete(folder, service)
    wanted = [path for path in found if time is None or path.name == f"{service}-{time}"]
    if not wanted:
        there = ", ".join(path.name for path in found) or "none"
        raise BackupError(f"no such backup in {folder}; there are: {there}")
    return wanted[-1]


def _checked(folder: Path, service: str) -> dict[str, Any]:
    """The files that the manifest names, once all of them are found to be whole."""
    manifest = json.loads((folder / MANIFEST).read_text())
    if manifest["service"] != service:
        raise BackupError(f"{folder} is a backup of {manifest['service']}")
    for name, file in manifest["files"].items():
        if _digest(folder, name) != file["sha256"]:
            raise BackupError(f"{folder / name}.bson.gz is damaged; nothing was changed")
    return manifest["files"]


def _documents(folder: Path, name: str) -> Iterator[RawBSONDocument]:
    with gzip.open(folder / f"{name}.bson.gz", "rb") as file:
        yield from bson.decode_file_iter(cast("BinaryIO", file), RAW)


def _digest(folder: Path, name: str) -> str:
    with (folder / f"{name}.bson.gz").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _total(files: dict[str, Any]) -> str:
    return f"{sum(f['documents'] for f in files.values())} documents of {', '.join(files)}"
