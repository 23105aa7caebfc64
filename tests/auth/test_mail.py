"""Mail that waits in the database until somebody took it."""

import smtplib
import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import mongomock
import pytest

from apps.auth import mail as mail_module
from apps.auth.mail import Letter, Mailbox, received, to_folder, to_server

from .conftest import World, some_settings

LETTER = Letter("Grüße", "Hello\n\nhttps://tickets.example.com/x?token=abc\n")


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    client = mongomock.MongoClient(tz_aware=True)
    mailbox = Mailbox(client["auth"], "Ticketing <tickets@example.com>")
    mailbox.ensure_indexes()
    yield mailbox
    client.close()


class Later(datetime):
    """The clock of the mailbox, moved on."""

    by = timedelta()

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime.now(tz) + cls.by


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Later]:
    monkeypatch.setattr(mail_module, "datetime", Later)
    monkeypatch.setattr(Later, "by", timedelta())
    return Later


class Server:
    """A mail server that is away, or refuses, or takes what comes."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.trouble: Exception | None = None

    def __call__(self, message: EmailMessage) -> None:
        if self.trouble:
            raise self.trouble
        self.taken.append(message)


def test_a_mail_is_handed_over_once(mailbox: Mailbox) -> None:
    server = Server()
    mailbox.post("ada@example.com", LETTER)
    mailbox.sweep(server)
    mailbox.sweep(server)
    [message] = server.taken
    assert message["To"] == "ada@example.com"
    assert message["From"] == "Ticketing <tickets@example.com>"
    assert message["Subject"] == "Grüße"
    assert message.get_content() == LETTER.text
    assert message["Message-ID"].endswith("@example.com>")
    assert mailbox.collection.count_documents({}) == 0


def test_a_server_that_is_away_is_tried_again_in_growing_distance(
    mailbox: Mailbox, clock: type[Later]
) -> None:
    server = Server()
    server.trouble = ConnectionRefusedError()
    mailbox.post("ada@example.com", LETTER)
    waits: list[int] = []
    for _ in range(4):
        mailbox.sweep(server)
        due_at = mailbox.collection.find_one()["due_at"]
        waits.append(round((due_at - clock.now(UTC)).total_seconds()))
        clock.by = due_at - datetime.now(UTC) + timedelta(seconds=1)
    assert waits == [5, 10, 20, 40]
    server.trouble = None
    mailbox.sweep(server)
    assert len(server.taken) == 1


def test_a_crash_while_handing_over_repeats_the_mail_under_the_same_id(
    mailbox: Mailbox, clock: type[Later]
) -> None:
    server = Server()
    seen: list[str] = []

    def crash(message: EmailMessage) -> None:
        seen.append(message["Message-ID"])
        raise KeyboardInterrupt

    mailbox.post("ada@example.com", LETTER)
    with pytest.raises(KeyboardInterrupt):
        mailbox.sweep(crash)
    mailbox.sweep(server)
    assert server.taken == [], "the worker that crashed may still be at it"
    clock.by = timedelta(seconds=61)
    mailbox.sweep(server)
    assert [message["Message-ID"] for message in server.taken] == seen


def test_two_workers_do_not_both_send(mailbox: Mailbox) -> None:
    server, other = Server(), Server()

    def slow(message: EmailMessage) -> None:
        mailbox.sweep(other)
        server(message)

    mailbox.post("ada@example.com", LETTER)
    mailbox.sweep(slow)
    assert (len(server.taken), other.taken) == (1, [])


def test_two_workers_that_found_the_same_mail_send_it_once(mailbox: Mailbox) -> None:
    server = Server()
    mailbox.post("ada@example.com", LETTER)
    found = mailbox.collection.find_one()

    def slow(message: EmailMessage) -> None:
        mailbox._hand_over(found, server)  # the other one, while this one is at it
        server(message)

    mailbox._hand_over(found, slow)
    assert len(server.taken) == 1


def test_one_refused_address_holds_up_no_other(mailbox: Mailbox) -> None:
    taken: list[str] = []

    def picky(message: EmailMessage) -> None:
        if message["To"] == "gone@example.com":
            raise smtplib.SMTPRecipientsRefused({"gone@example.com": (550, b"no such user")})
        taken.append(message["To"])

    for to in ("gone@example.com", "ada@example.com"):
        mailbox.post(to, LETTER)
    mailbox.sweep(picky)
    assert taken == ["ada@example.com"]
    assert mailbox.collection.count_documents({}) == 0


def test_a_server_that_wants_to_be_asked_again_later_is_no_refusal(
    mailbox: Mailbox, clock: type[Later]
) -> None:
    """Many servers put off whoever they don't know yet; a mail must outlive that."""
    server = Server()
    server.trouble = smtplib.SMTPRecipientsRefused({"ada@example.com": (451, b"greylisted")})
    mailbox.post("ada@example.com", LETTER)
    mailbox.sweep(server)
    server.trouble = None
    clock.by = timedelta(minutes=1)
    mailbox.sweep(server)
    assert [message["To"] for message in server.taken] == ["ada@example.com"]


def test_a_mail_that_can_not_be_written_is_given_up_as_well(
    mailbox: Mailbox, clock: type[Later]
) -> None:
    server = Server()
    server.trouble = UnicodeEncodeError("ascii", "ü", 0, 1, "not in an address")
    mailbox.post("ada@example.com", LETTER)
    mailbox.sweep(server)
    assert mailbox.collection.count_documents({}) == 1
    clock.by = timedelta(days=3, hours=2)
    mailbox.sweep(server)
    assert mailbox.collection.count_documents({}) == 0


def test_a_mail_is_given_up_after_three_days(mailbox: Mailbox, clock: type[Later]) -> None:
    server = Server()
    server.trouble = TimeoutError()
    mailbox.post("ada@example.com", LETTER)
    clock.by = timedelta(days=2, hours=23)
    mailbox.sweep(server)
    assert mailbox.collection.count_documents({}) == 1
    clock.by = timedelta(days=3, hours=2)
    mailbox.sweep(server)
    assert mailbox.collection.count_documents({}) == 0


def test_mails_in_a_folder_are_one_file_each_however_often(
    mailbox: Mailbox, tmp_path: Path
) -> None:
    kept: list[EmailMessage] = []
    mailbox.post("ada@example.com", LETTER)
    mailbox.sweep(kept.append)
    deliver = to_folder(tmp_path / "mails")
    for _ in range(2):
        deliver(kept[0])
    [found] = received(tmp_path / "mails")
    assert (found.to, found.subject, found.text) == ("ada@example.com", "Grüße", LETTER.text)
    assert abs(found.sent_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_folder_that_is_not_there_yet_holds_no_mails(tmp_path: Path) -> None:
    assert received(tmp_path / "none") == []


# --- a real conversation --------------------------------------------------------------------------


class _Smtp(socketserver.StreamRequestHandler):
    """Enough of RFC 5321 to take a mail from smtplib."""

    def handle(self) -> None:
        heard: list[str] = self.server.heard  # type: ignore[attr-defined]
        self._say("220 here")
        for line in self.rfile:
            command = line.decode().strip()
            heard.append(command)
            if command.upper().startswith("DATA"):
                self._say("354 go on")
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    heard.append(line.decode().rstrip())
            if command.upper().startswith("EHLO"):
                self.wfile.write(b"250-here\r\n250 AUTH PLAIN\r\n")
            elif command.upper().startswith("AUTH"):
                self._say("235 welcome")
            else:
                self._say("221 bye" if command.upper() == "QUIT" else "250 fine")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


def test_a_mail_server_is_spoken_to_with_name_and_password(mailbox: Mailbox) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Smtp) as server:
        server.daemon_threads = True
        server.heard = heard = list[str]()  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        port = server.server_address[1]
        mailbox.post("ada@example.com", LETTER)
        mailbox.sweep(to_server(f"smtp://me:p%40ss@127.0.0.1:{port}"))
        server.shutdown()
    said = "\n".join(heard)
    assert "AUTH PLAIN AG1lAHBAc3M=" in said  # me, p@ss
    assert "rcpt TO:<ada@example.com>" in said
    assert "https://tickets.example.com/x?token=abc" in said
    assert mailbox.collection.count_documents({}) == 0


def test_a_mail_server_that_is_not_there_keeps_the_mail(mailbox: Mailbox) -> None:
    mailbox.post("ada@example.com", LETTER)
    mailbox.sweep(to_server("smtp://127.0.0.1:1"))
    assert mailbox.collection.count_documents({}) == 1


# --- the page of the embedded stack ---------------------------------------------------------------


def test_the_embedded_stack_shows_its_mails(build: Any, tmp_path: Path) -> None:
    world: World = build(verify_email=True, mail_dir=str(tmp_path))
    assert "No mails yet" in world.client().get("/account/mails").text
    world.sign_up()
    world.mailbox.sweep(to_folder(tmp_path))
    page = world.client().get("/account/mails").text
    assert "ada@example.com" in page
    assert 'href="http://localhost/account/verify?token=' in page


@pytest.mark.parametrize("changes", [{"mail_dir": ""}, {"embedded": False}])
def test_no_other_stack_has_that_page(
    build: Any, tmp_path: Path, changes: dict[str, object]
) -> None:
    strict = {"verify_email": True, "rate_limits": True, "mail_dir": str(tmp_path)}
    world: World = build(**{**strict, **changes})
    assert world.client().get("/account/mails").status_code == 404


def test_a_mail_server_needs_its_protocol() -> None:
    with pytest.raises(ValueError, match="smtp_url"):
        some_settings(smtp_url="mail.example.com")
