"""How often somebody may try to sign in or up."""

from shared.limits import Limits, client, rule

# The wait grows with each failure. Only this client waits: a stranger locks nobody out.
SIGN_IN_TO_ONE_ACCOUNT = rule(
    "sign-in-account",
    "5 per minute; 10 per 10 minutes; 20 per hour; 50 per day",
    "Too many attempts to sign in; wait before you try again",
)
SIGN_IN = rule("sign-in", "60 per minute", "Too many attempts to sign in; try again in a minute")
SIGN_UP = rule("sign-up", "20 per hour", "Too many new accounts from here; try again later")


def count_sign_in(limits: Limits, email: str) -> None:
    """Count an attempt, before it costs anything. Raises TooMany."""
    limits.count(SIGN_IN_TO_ONE_ACCOUNT, client(), email)
    limits.count(SIGN_IN, client())


def forgive_sign_in(limits: Limits, email: str) -> None:
    """Who knows the password was no guesser."""
    limits.forgive(SIGN_IN_TO_ONE_ACCOUNT, client(), email)


def count_sign_up(limits: Limits) -> None:
    """Count a new account. Raises TooMany."""
    limits.count(SIGN_UP, client())


# Six digits are few, and whoever types them has shown the password: so all clients count as one.
CODE = rule(
    "code",
    "5 per minute; 10 per 10 minutes; 20 per hour; 50 per day",
    "Too many codes; wait before you try again",
)
PASSWORD_AGAIN = rule(
    "password-again", "10 per 10 minutes; 30 per day", "Too many attempts; try again later"
)
LETTER = rule("letter", "5 per hour", "We have written several times; look into your mailbox")
# More than one stranger can use up, so that the owner of an address still gets their letter.
LETTERS_TO_ONE = rule(
    "letters-to", "20 per hour", "We have written many times; look into your mailbox"
)
LETTERS = rule("letters", "30 per hour", "Too many mails asked for; try again later")


def count_letter(limits: Limits, address: str) -> None:
    """Count a mail to an address, by who asks for it and in all. Raises TooMany."""
    limits.count(LETTERS, client())
    limits.count(LETTER, client(), address)
    limits.count(LETTERS_TO_ONE, address)
