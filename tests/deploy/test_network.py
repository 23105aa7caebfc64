"""Who can reach whom: the rendered network policies allow the arrows of the design, no more."""

from itertools import product

from tests.deploy.objects import Manifest, of, pods, selects

KEEPERS = ("auth", "tickets", "orders", "payments")
ROUTED = (*KEEPERS, "live")
WORKING = (*KEEPERS, "expiration")
PORTS = (443, 2379, 3000, 4222, 6222, 6379, 6443, 8000, 8082, 8222, 9000, 12111, 27017)

# Outside of the namespace: what the cluster brings, and the internet.
OUTSIDE = {
    "traefik": ("traefik", {"app.kubernetes.io/name": "traefik"}),
    "monitoring": ("monitoring", {"app.kubernetes.io/name": "prometheus"}),
    "stranger": ("elsewhere", {"app.kubernetes.io/name": "traefik"}),
}
NAMESPACE = "kubernetes.io/metadata.name"

Arrow = tuple[str, str, int]


def expected(overlay: str) -> set[Arrow]:
    """The design's arrows."""
    processes = [f"{app}-{role}" for app in WORKING for role in ("web", "worker")]
    processes += ["expiration-alarms", "live-web"]
    arrows = {("traefik", f"{app}-web", 3000) for app in ROUTED}
    arrows |= {(f"{app}-web", "auth-web", 3000) for app in ROUTED if app != "auth"}
    arrows |= {("monitoring", process, 9000) for process in processes}
    arrows |= {(process, "nats", 4222) for process in processes}
    arrows |= {("nats", "nats", 6222)}
    using_redis = [p for p in processes if p.startswith(("auth", "expiration"))]
    arrows |= {(process, "redis", 6379) for process in using_redis}
    for app in KEEPERS:
        users = ["web", "worker", "db"] + (["backup"] if overlay == "prod" else [])
        arrows |= {(f"{app}-{user}", f"{app}-db", 27017) for user in users}
    if overlay == "dev":
        arrows |= {("gateway", f"{app}-web", 3000) for app in ROUTED}
        arrows |= {("seed", "gateway", 8000), ("seed", "auth-db", 27017)}
        arrows |= {("stripe", "payments-web", 3000)}
        arrows |= {(outside, "gateway", 8000) for outside in OUTSIDE}
        arrows |= {(f"payments-{role}", "stripe", 12111) for role in ("web", "worker")}
    return arrows


def test_exactly_the_arrows_of_the_design(overlay: str, manifests: list[Manifest]):
    policies = of(manifests, "NetworkPolicy")
    places = {m["metadata"]["name"]: ("ticketing", p["metadata"]["labels"])
              for m, p in pods(manifests)} | OUTSIDE  # fmt: skip
    found = {
        (source, target, port)
        for source, target, port in product(places, places, PORTS)
        if places[target][0] == "ticketing"
        and may(policies, "Egress", places[source], places[target], port)
        and may(policies, "Ingress", places[target], places[source], port)
    }
    assert found - expected(overlay) == set()
    assert expected(overlay) - found == set()


def test_only_payments_and_mails_reach_the_internet(manifests: list[Manifest]):
    outward = {
        manifest["metadata"]["name"]
        for manifest, pod in pods(manifests)
        for policy in of(manifests, "NetworkPolicy")
        for rule in policy["spec"].get("egress", [])
        if selects(policy["spec"]["podSelector"], pod["metadata"]["labels"])
        and any("ipBlock" in peer for peer in rule.get("to", []))
    }
    assert outward == {"payments-web", "payments-worker", "auth-worker"}


def may(
    policies: list[Manifest],
    direction: str,
    here: tuple[str, dict[str, str]],
    there: tuple[str, dict[str, str]],
    port: int,
) -> bool:
    """Whether the policies of one end let the connection pass; outside none of ours holds."""
    if here[0] != "ticketing":
        return True
    holding = [
        policy["spec"]
        for policy in policies
        if direction in policy["spec"]["policyTypes"]
        and selects(policy["spec"]["podSelector"], here[1])
    ]
    assert holding, "a pod without a policy is open to everybody"
    side, peers = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    return any(
        port in [allowed["port"] for allowed in rule["ports"]]
        and (peers not in rule or any(is_meant(peer, there) for peer in rule[peers]))
        for spec in holding
        for rule in spec.get(side, [])
    )


def is_meant(peer: Manifest, there: tuple[str, dict[str, str]]) -> bool:
    namespace, labels = there
    if "ipBlock" in peer:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], {NAMESPACE: namespace}):
            return False
    elif namespace != "ticketing":
        return False
    return selects(peer.get("podSelector", {}), labels)
