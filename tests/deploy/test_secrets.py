"""No secret is in the tree: files are searched for what keys of well-known services look like."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.deploy.commands import ROOT

pytest.importorskip("detect_secrets", reason="detect-secrets is not installed")

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

# By form. What merely has the name or the randomness of a secret is everywhere in code like this.
DETECTORS = (
    *("ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector"),
    *("CloudantDetector", "DiscordBotTokenDetector", "GitHubTokenDetector", "GitLabTokenDetector"),
    *("JwtTokenDetector", "MailchimpDetector", "NpmDetector", "OpenAIDetector"),
    *("PrivateKeyDetector", "PypiTokenDetector", "SendGridDetector", "SlackDetector"),
    *("SquareOAuthDetector", "StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector"),
)
SETTINGS = {"plugins_used": [{"name": name} for name in DETECTORS]}
# Made or brought by others: the lock file is hashes, the rest is not written by hand.
SKIPPED = (".venv", ".git", ".data", ".hypothesis", "__pycache__", "build", "uv.lock")
BINARY = (".woff2", ".ttf", ".png", ".ico", ".gz", ".pyc")
# Addresses that show how one is written.
EXAMPLES = {"password", "p%40ss"}


def files(root: Path) -> Iterator[Path]:
    for path in root.iterdir():
        if path.name in SKIPPED or path.name.endswith((*BINARY, "_cache", ".egg-info", ".min.js")):
            continue
        if path.is_dir():
            yield from files(path)
        elif not path.is_symlink():
            yield path


def found(root: Path) -> list[str]:
    with transient_settings(SETTINGS):
        return [
            f"{path.relative_to(root)}:{secret.line_number}: {secret.type}"
            for path in files(root)
            for secret in scan_file(str(path))
            if secret.secret_value not in EXAMPLES
        ]


def test_there_is_no_secret_in_the_tree():
    assert found(ROOT) == []


def test_secrets_would_be_found(tmp_path: Path):
    key = "-----BEGIN " + "PRIVATE KEY-----"
    (tmp_path / "a.py").write_text(f'KEY = """{key}\n"""\n')
    (tmp_path / "b.yaml").write_text("key: sk_" + "live_" + "4eC39HqLyjWDarjtT1zdp7dc\n")
    (tmp_path / "c.md").write_text("mongodb://ticketing:" + "correct-horse@db.example.com/\n")
    assert len(found(tmp_path)) == 3
