"""What a person does in a browser, and what they see: by the words on the page, as people do."""

import re
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

from tests.system.world import PASSWORD, Person


@dataclass
class Visitor:
    """Somebody at a page."""

    page: Page

    @property
    def main(self) -> Locator:
        return self.page.get_by_role("main")

    def opens(self, path: str) -> "Visitor":
        self.page.goto(path)
        return self

    def signs_in(self, person: Person, password: str = PASSWORD) -> None:
        self.opens("/account/signin")
        self.types("E-mail address", person.email)
        self.types("Password", password)
        self.presses("Sign in")
        self.page.wait_for_url(lambda url: "/account/signin" not in url)

    def types(self, label: str, text: str) -> None:
        self.main.get_by_label(label, exact=True).fill(text)

    def presses(self, name: str) -> None:
        self.main.get_by_role("button", name=name).first.click()

    def follows(self, name: str) -> None:
        self.main.get_by_role("link", name=name).first.click()

    def sees(self, text: str, seconds: float = 15) -> None:
        expect(self.main).to_contain_text(text, timeout=seconds * 1000)

    def sees_heading(self, text: str, seconds: float = 15) -> None:
        heading = self.main.get_by_role("heading", name=text).first
        expect(heading).to_be_visible(timeout=seconds * 1000)

    def reserves(self, ticket_id: str) -> None:
        """From the ticket's page to the order's."""
        self.opens(f"/tickets/{ticket_id}")
        self.presses("Reserve")
        self.page.wait_for_url(re.compile(r"/orders/[0-9a-f]{24}$"))
