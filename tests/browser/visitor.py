"""What a person does in a browser, and what they see: by the words on the page, as people do."""

from dataclasses import dataclass

from playwright.sync_api import Page, expect

from tests.system.world import PASSWORD, Person


@dataclass
class Visitor:
    """Somebody at a page."""

    page: Page

    def opens(self, path: str) -> "Visitor":
        self.page.goto(path)
        return self

    def signs_in(self, person: Person) -> None:
        self.opens("/account/signin")
        self.page.get_by_label("E-mail").fill(person.email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.presses("Sign in")
        expect(self.page.get_by_role("banner")).to_contain_text(person.email)

    def presses(self, name: str) -> None:
        self.page.get_by_role("main").get_by_role("button", name=name).click()

    def follows(self, name: str) -> None:
        self.page.get_by_role("main").get_by_role("link", name=name).click()

    def sees(self, text: str, seconds: float = 15) -> None:
        expect(self.page.get_by_role("main")).to_contain_text(text, timeout=seconds * 1000)
