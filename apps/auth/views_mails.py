"""The mails of the embedded stack as a page. It shows everybody's, so it exists nowhere else."""

from pathlib import Path

from flask import Blueprint, Response

from apps.auth.mail import received
from shared import web


def blueprint(folder: Path) -> Blueprint:
    pages = Blueprint("mails", __name__, template_folder="templates")

    @pages.get("/account/mails")
    def index() -> Response:
        return web.render("auth/mails.html", mails=received(folder), folder=str(folder))

    return pages
