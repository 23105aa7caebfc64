"""Rules of our own that every rendered object keeps."""

import re
from collections import Counter

import yaml

from dev.deploy.commands import ROOT
from dev.stack.parts import static_configuration
from tests.deploy.objects import SERVING, Manifest, containers, data, name, of, pods, selects

SECRETS = {"JWT_KEY", "SECRET_KEY", "STRIPE_KEY", "STRIPE_WEBHOOK_SECRET"}


def test_every_container_has_limits_and_requests(manifests: list[Manifest]):
    for where, _, container in containers(manifests):
        for kind in ("limits", "requests"):
            assert {"cpu", "memory"} <= container["resources"][kind].keys(), where


def test_every_container_is_confined(manifests: list[Manifest]):
    for where, pod, container in containers(manifests):
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True, where
        assert security["allowPrivilegeEscalation"] is False, where
        assert security["capabilities"] == {"drop": ["ALL"]}, where
        assert pod["securityContext"]["runAsNonRoot"] is True, where
        assert pod["securityContext"]["runAsUser"] > 0, where
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, where


def test_everything_that_serves_is_probed(manifests: list[Manifest]):
    for manifest, pod in pods(of(manifests, *SERVING)):
        for container in pod["spec"]["containers"]:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert probe in container, f"{name(manifest)} has no {probe}"


def test_only_what_asks_the_cluster_has_a_token(manifests: list[Manifest]):
    for manifest, pod in pods(manifests):
        assert pod["spec"]["serviceAccountName"] != "default", name(manifest)
        wanted = name(manifest) == "Job/keys"
        assert pod["spec"]["automountServiceAccountToken"] is wanted, name(manifest)


def test_every_image_has_a_version(manifests: list[Manifest]):
    for where, _, container in containers(manifests):
        tag = container["image"].rpartition("/")[2].partition(":")[2]
        assert tag, f"{where}: {container['image']} has no tag"
        assert tag != "latest", where


def test_no_secret_is_in_clear(manifests: list[Manifest]):
    assert of(manifests, "Secret") == []
    for where, _, container in containers(manifests):
        given = {variable["name"] for variable in container.get("env", [])}
        assert not given & SECRETS, where
    for config in of(manifests, "ConfigMap"):
        assert not config["data"].keys() & SECRETS, name(config)
    text = yaml.safe_dump_all(manifests)
    assert not re.search(r"sk_(test|live)_|whsec_|mongodb://[^ /]+:[^ /]+@", text)


def test_every_service_leads_to_pods_that_listen(manifests: list[Manifest]):
    for service in of(manifests, "Service"):
        selector = {"matchLabels": service["spec"]["selector"]}
        chosen = [p for _, p in pods(manifests) if selects(selector, p["metadata"]["labels"])]
        assert len(chosen) == 1, f"{name(service)} leads to {len(chosen)} kinds of pods"
        listening = chosen[0]["spec"]["containers"][0]["ports"]
        known = {port["containerPort"] for port in listening} | {port["name"] for port in listening}
        for port in service["spec"]["ports"]:
            assert port.get("targetPort", port["port"]) in known, name(service)


def test_every_reference_to_configuration_leads_somewhere(manifests: list[Manifest]):
    for _, pod, container in containers(manifests):
        for source in container.get("envFrom", []):
            assert data(manifests, source["configMapRef"]["name"])
        for volume in pod.get("volumes", []):
            if "configMap" in volume:
                assert data(manifests, volume["configMap"]["name"])


def test_a_rollout_never_takes_more_than_it_gives(manifests: list[Manifest]):
    for deployment in of(manifests, "Deployment"):
        if deployment["metadata"]["name"] == "gateway":  # the one of development
            continue
        strategy = deployment["spec"]["strategy"]["rollingUpdate"]
        assert strategy == {"maxSurge": 1, "maxUnavailable": 0}, name(deployment)
        pod = deployment["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] == 30
        is_web = deployment["metadata"]["name"].endswith("-web")
        assert ("lifecycle" in pod["containers"][0]) is is_web, name(deployment)


def test_what_runs_several_times_is_spread_and_guarded(manifests: list[Manifest]):
    budgets = of(manifests, "PodDisruptionBudget")
    scaled = {m["spec"]["scaleTargetRef"]["name"] for m in of(manifests, "HorizontalPodAutoscaler")}
    for manifest in of(manifests, *SERVING):
        several = manifest["spec"].get("replicas", 1) > 1 or manifest["metadata"]["name"] in scaled
        if not several:
            continue
        pod = manifest["spec"]["template"]
        labels = pod["metadata"]["labels"]
        assert pod["spec"]["topologySpreadConstraints"], name(manifest)
        guards = [b for b in budgets if selects(b["spec"]["selector"], labels)]
        assert len(guards) == 1, name(manifest)


def test_the_autoscaler_and_the_manifest_do_not_fight(manifests: list[Manifest]):
    deployments = {m["metadata"]["name"]: m for m in of(manifests, "Deployment")}
    for scaler in of(manifests, "HorizontalPodAutoscaler"):
        assert "replicas" not in deployments[scaler["spec"]["scaleTargetRef"]["name"]]["spec"]


def test_routes_are_those_of_the_gateway_file(overlay: str, manifests: list[Manifest]):
    text = (ROOT / "traefik" / "routes.yaml").read_text()
    routers = yaml.safe_load(text)["http"]["routers"]
    expected = {f"{app}-web": router["rule"].split() for app, router in routers.items()}
    if overlay == "dev":
        # Here the file itself is used.
        (found,) = [m for m in of(manifests, "ConfigMap") if "routes.yaml" in m["data"]]
        assert found["data"]["routes.yaml"] == text
        return
    (routes,) = [m for m in of(manifests, "IngressRoute") if m["metadata"]["name"] == "ticketing"]
    found = {r["services"][0]["name"]: r["match"].split() for r in routes["spec"]["routes"]}
    assert found == expected


def test_routes_use_what_there_is(manifests: list[Manifest]):
    services = {m["metadata"]["name"] for m in of(manifests, "Service")}
    middlewares = {m["metadata"]["name"] for m in of(manifests, "Middleware")}
    used: set[str] = set()
    for route in of(manifests, "IngressRoute"):
        assert route["apiVersion"] == "traefik.io/v1alpha1"
        for rule in route["spec"]["routes"]:
            assert {service["name"] for service in rule["services"]} <= services
            used |= {middleware["name"] for middleware in rule["middlewares"]}
    assert used == middlewares


def test_the_clusters_gateway_speaks_to_services_as_our_own_does(
    overlay: str, manifests: list[Manifest]
):
    if overlay == "dev":
        return  # there it is our own
    ours = static_configuration(ROOT / "traefik" / "static.env")
    prefix = "TRAEFIK_SERVERSTRANSPORT_FORWARDINGTIMEOUTS_"
    always = {k.removeprefix(prefix): v for k, v in ours.items() if k.startswith(prefix)}
    text = (ROOT / "traefik" / "routes.yaml").read_text()
    own = yaml.safe_load(text)["http"]["serversTransports"]["streams"]["forwardingTimeouts"]
    assert always.items() <= {name.upper(): value for name, value in own.items()}.items()
    (transport,) = of(manifests, "ServersTransport")
    assert transport["spec"]["forwardingTimeouts"] == own
    schemes = _schemes(text)
    (routes,) = [m for m in of(manifests, "IngressRoute") if m["metadata"]["name"] == "ticketing"]
    for route in routes["spec"]["routes"]:
        (service,) = route["services"]
        assert service["serversTransport"] == transport["metadata"]["name"]
        assert service.get("scheme", "http") == schemes[service["name"]]


def _schemes(text: str) -> dict[str, str]:
    """By which protocol the gateway file speaks to each service."""
    return {f"{app}-web": scheme for scheme, app in re.findall(r'"(\w+)://([a-z]+):3000"', text)}


def test_production_keeps_events_on_three_disks(overlay: str, manifests: list[Manifest]):
    if overlay != "prod":
        return
    common = next(m for m in of(manifests, "ConfigMap") if "NATS_REPLICAS" in m["data"])
    nats = next(m for m in of(manifests, "StatefulSet") if m["metadata"]["name"] == "nats")
    config = next(m for m in of(manifests, "ConfigMap") if "nats.conf" in m["data"])
    assert common["data"]["NATS_REPLICAS"] == str(nats["spec"]["replicas"]) == "3"
    assert re.search(r"sync_interval: always\n", config["data"]["nats.conf"])
    databases = [m for m in of(manifests, "StatefulSet") if m["metadata"]["name"].endswith("-db")]
    assert [m["spec"]["replicas"] for m in databases] == [3, 3, 3, 3]


def test_production_backs_every_database_up_each_night(overlay: str, manifests: list[Manifest]):
    if overlay != "prod":
        return
    jobs = {m["metadata"]["name"]: m["spec"]["jobTemplate"] for m in of(manifests, "CronJob")}
    databases = [m for m in of(manifests, "StatefulSet") if m["metadata"]["name"].endswith("-db")]
    services = {m["metadata"]["name"].removesuffix("-db") for m in databases}
    assert jobs.keys() == {f"{service}-backup" for service in services}
    for service in services:
        pod = jobs[f"{service}-backup"]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        # The same command that tests/cli/test_backup.py tries; it knows only the address.
        assert container["args"] == ["backup", service, "--to=/backup", "--keep=14"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert volumes["keys"]["secret"]["secretName"] == f"{service}-keys"
        assert [item["path"] for item in volumes["keys"]["secret"]["items"]] == ["mongo_uri"]
        assert volumes["backup"]["persistentVolumeClaim"]["claimName"] == f"{service}-backup"
        mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert mounted["/backup"] == "backup"


def test_names_are_unique(manifests: list[Manifest]):
    twice = [key for key, count in Counter(name(m) for m in manifests).items() if count > 1]
    assert twice == []
