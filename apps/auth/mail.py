"""Mail: kept in the database until it was handed over, so that a crash loses none.

Handing over and forgetting are two steps, so a crash in between repeats a mail, with the same
Message-ID, by which mailboxes know it.
"""

import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import format_datetime
from pathlib import Path
from secrets import token_hex
from urllib.parse import unquote, urlsplit

from shared import logs
from shared.mongo import Document, Store
from shared.worker import for_each

log = logs.get(__name__)

LEASE = timedelta(seconds=60)  # for which one worker has a mail to itself
LONGEST_WAIT = timedelta(hours=1)  # between two tries
KEPT_TRYING = timedelta(days=3)
TIMEOUT = 20  # seconds that a mail server may take
SHOWN = 50  # mails on the page of the embedded stack

Deliver = Callable[[EmailMessage], None]


@dataclass(frozen=True)
class Letter:
    """What a mail says, in plain text."""

    subject: str
    text: str


class Mailbox:
    """The mails that wait. Whoever writes one need not wait for a mail server."""

    def __init__(self, store: Store, sender: str) -> None:
        self.collection, self._sender = store["mails"], sender

    def ensure_indexes(self) -> None:
        self.collection.create_index("due_at")
        self.collection.create_index("to")

    def post(self, to: str, letter: Letter) -> None:
        now = datetime.now(UTC)
        mail = {"to": to, "subject": letter.subject, "text": letter.text}
        self.collection.insert_one(
            {"_id": token_hex(12), **mail, "written_at": now, "due_at": now, "tries": 0}
        )

    def forget(self, to: str) -> None:
        """Drop what waits for an address."""
        self.collection.delete_many({"to": to})

    def sweep(self, deliver: Deliver) -> None:
        """Hand over every mail that is due."""
        due = (
            self.collection.find({"due_at": {"$lte": datetime.now(UTC)}}).sort("due_at").limit(100)
        )
        mails: dict[str, Document] = {mail["_id"]: mail for mail in due}
        for_each(mails, lambda key: self._hand_over(mails[key], deliver))

    def _hand_over(self, mail: Document, deliver: Deliver) -> None:
        lease = {"$set": {"due_at": datetime.now(UTC) + LEASE}, "$inc": {"tries": 1}}
        mine = {"_id": mail["_id"], "due_at": mail["due_at"]}
        if not self.collection.update_one(mine, lease).modified_count:
            return  # another worker has it
        try:
            deliver(self._message(mail))
        except (OSError, smtplib.SMTPException, ValueError) as error:  # the last: can't be written
            self._put_back(mail, error)
        else:
            self.collection.delete_one({"_id": mail["_id"]})

    def _put_back(self, mail: Document, error: Exception) -> None:
        """Try again later, unless the server refuses the address for good or for too long."""
        now = datetime.now(UTC)
        if _is_for_good(error) or now - mail["written_at"] > KEPT_TRYING:
            log.error("mail given up", mail=mail["_id"], error=type(error).__name__)
            self.collection.delete_one({"_id": mail["_id"]})
            return
        wait = min(timedelta(seconds=5) * 2 ** min(mail["tries"], 20), LONGEST_WAIT)
        log.warning("mail waits", mail=mail["_id"], error=type(error).__name__)
        self.collection.update_one({"_id": mail["_id"]}, {"$set": {"due_at": now + wait}})

    def _message(self, mail: Document) -> EmailMessage:
        message = EmailMessage()
        message["Message-ID"] = f"<{mail['_id']}@{self._sender.rpartition('@')[2].strip('> ')}>"
        message["Date"] = format_datetime(mail["written_at"])
        message["From"], message["To"] = self._sender, mail["to"]
        message["Subject"] = mail["subject"]
        message.set_content(mail["text"])
        return message


def _is_for_good(error: Exception) -> bool:
    """Whether the server will never take this address. Codes below 500 ask to come again later."""
    if not isinstance(error, smtplib.SMTPRecipientsRefused):
        return False
    return all(code >= 500 for code, _ in error.recipients.values())


# --- where mails go -------------------------------------------------------------------------------


def to_server(url: str) -> Deliver:
    """To a mail server: `smtp://` uses TLS where the server has it, `smtps://` always."""
    address = urlsplit(url)
    host, secure = address.hostname or "localhost", address.scheme == "smtps"

    def connect() -> smtplib.SMTP:
        if secure:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, address.port or 465, timeout=TIMEOUT, context=context)
        return smtplib.SMTP(host, address.port or 25, timeout=TIMEOUT)

    def deliver(message: EmailMessage) -> None:
        with connect() as server:
            server.ehlo()
            if not secure and server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
            if address.username:
                server.login(unquote(address.username), unquote(address.password or ""))
            server.send_message(message)

    return deliver


def to_folder(folder: Path) -> Deliver:
    """Into files, for development. The same mail twice is the same file."""

    def deliver(message: EmailMessage) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = message["Message-ID"].strip("<>").partition("@")[0]
        draft = folder / f"{name}.draft"
        draft.write_bytes(bytes(message))
        draft.replace(folder / f"{name}.eml")

    return deliver


@dataclass(frozen=True)
class Received:
    """A mail in the folder, as the page of the embedded stack shows it."""

    to: str
    subject: str
    text: str
    sent_at: datetime


def received(folder: Path) -> list[Received]:
    """The newest mails in the folder."""
    files = sorted(folder.glob("*.eml"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [_read(path) for path in files[:SHOWN]]


def _read(path: Path) -> Received:
    message = message_from_bytes(path.read_bytes(), policy=default)
    assert isinstance(message, EmailMessage)  # noqa: S101 - the policy makes these
    sent_at = message["Date"].datetime
    return Received(message["To"], message["Subject"], message.get_content(), sent_at)
