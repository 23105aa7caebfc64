"""Everything between the settings and a supervisor: the folder, leftovers, ports, keys."""

from dev.stack.guard import GRACE_SECONDS, end_groups
from dev.stack.parts import Plan, port_names
from dev.stack.ports import first_of_block, is_free, take_block
from dev.stack.report import Report
from dev.stack.settings import Settings, SettingsError
from dev.stack.state import Home, Run, is_alive
from dev.stack.supervisor import Supervisor


def start(settings: Settings) -> Supervisor:
    """Take the data folder and make a supervisor for it."""
    report = Report()
    home = Home(settings.data)
    home.prepare()
    last = home.run()
    if last is not None and last["phase"] != "stopped":
        _end_leftovers(last, report)
    if not is_free(settings.port):
        raise SettingsError(
            f"PORT {settings.port} is in use: choose another one, for example"
            f" `make up PORT={settings.port + 80}`"
        )
    ports = _ports(settings, last)
    _warn(settings, report)
    report.say(f"starting, data in {home.path}")
    return Supervisor(settings, home, Plan(settings, ports, home.secrets()), report)


def _ports(settings: Settings, last: Run | None) -> dict[str, int]:
    """A port for each part, the one of last time if it can be had."""
    wanted = first_of_block(min(last["ports"].values())) if last else 0
    free = (port for port in take_block(wanted) if port != settings.port)
    return dict(zip(port_names(), free, strict=False))


def _end_leftovers(last: Run, report: Report) -> None:
    """Parts of a run that ended without stopping them would hold ports and files."""
    parts = last["parts"].values()
    left = {p["pid"] for p in parts if p["pid"] and is_alive(p["pid"], p["started"])}
    if left:
        report.warn(f"ending {len(left)} parts that the last run left behind")
        end_groups(left, GRACE_SECONDS)


def _warn(settings: Settings, report: Report) -> None:
    if not settings.rate_limits:
        report.warn("RATE_LIMITS=0: no limits on guesses, mails, holds, cards; never in public")
    if not settings.verify_email:
        report.warn("VERIFY_EMAIL=0: addresses are not verified, never do this in public")
    if settings.uses_real_stripe:
        report.warn("STRIPE_KEY is set: payments go to the real Stripe")
        report.warn(
            "webhooks reach this machine only through"
            f" `stripe listen --forward-to {settings.url}/api/payments/webhook`;"
            " put the secret that it prints into STRIPE_WEBHOOK_SECRET"
        )
    if settings.stripe_key.startswith(("sk_live_", "rk_live_")):
        report.warn("STRIPE_KEY is a live key: cards are charged for real")
