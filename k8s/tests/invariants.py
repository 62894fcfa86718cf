"""What must hold in every overlay. Each function yields the sentences that say what does not; silence is health."""

import re
import tomllib
from collections.abc import Iterator

from cluster import Cluster, selects

# Made by the operator or by deploy.sh before the first apply; docs/deployment.md says how.
SECRETS_FROM_OUTSIDE = {"gateway-tls", "redis", "model"}
GRACE_MARGIN = 5


def pods_are_restricted(cluster: Cluster) -> Iterator[str]:
    """Non-root, read-only, nothing but what they need: stricter than Pod Security's `restricted`."""
    for workload in cluster.workloads:
        pod, context = workload.pod, workload.pod.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or context.get("runAsUser", 0) == 0:
            yield f"{workload.name}: pods may run as root"
        if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{workload.name}: no seccomp profile"
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{workload.name}: a Kubernetes API token is mounted"
        if pod.get("enableServiceLinks") is not False:
            yield f"{workload.name}: service links would inject variables such as REDIS_PORT=tcp://…"
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.get(key):
                yield f"{workload.name}: {key}"
        for container in workload.containers:
            inner = container.get("securityContext", {})
            if inner.get("allowPrivilegeEscalation") is not False or inner.get("privileged"):
                yield f"{workload.name}: privileges may grow"
            if inner.get("readOnlyRootFilesystem") is not True:
                yield f"{workload.name}: the root file system is writable"
            if inner.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{workload.name}: capabilities are kept"
            for kind in ("requests", "limits"):
                if set(container.get("resources", {}).get(kind, {})) != {"cpu", "memory"}:
                    yield f"{workload.name}: no {kind} of cpu and memory"
    for namespace in cluster.of_kind("Namespace"):
        if namespace["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "restricted":
            yield "the namespace does not enforce Pod Security `restricted`"


def references_exist(cluster: Cluster) -> Iterator[str]:
    """Service accounts, config maps, secrets, volumes, namespaces and scaling targets are all there."""
    for workload in cluster.workloads:
        pod = workload.pod
        if not cluster.find("ServiceAccount", pod.get("serviceAccountName", "default")):
            yield f"{workload.name}: no service account of its own"
        claims = {claim["metadata"]["name"] for claim in workload.object["spec"].get("volumeClaimTemplates", [])}
        volumes = {volume["name"] for volume in pod.get("volumes", [])} | claims
        config_maps = [v["configMap"]["name"] for v in pod.get("volumes", []) if "configMap" in v]
        secrets = [v["secret"]["secretName"] for v in pod.get("volumes", []) if "secret" in v]
        for container in workload.containers:
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes:
                    yield f"{workload.name}: no volume `{mount['name']}`"
                if "subPath" in mount:
                    yield f"{workload.name}: `{mount['name']}` is mounted by subPath, so it would never reload"
            sources = [e.get("valueFrom", {}) for e in container.get("env", [])] + container.get("envFrom", [])
            config_maps += [s[k]["name"] for s in sources for k in ("configMapRef", "configMapKeyRef") if k in s]
            secrets += [s[k]["name"] for s in sources for k in ("secretRef", "secretKeyRef") if k in s]
        for name in config_maps:
            if not cluster.find("ConfigMap", name):
                yield f"{workload.name}: no config map `{name}`"
        for name in secrets:
            if not cluster.find("Secret", name) and name not in SECRETS_FROM_OUTSIDE:
                yield f"{workload.name}: nobody makes the secret `{name}`"
    for scaler in cluster.of_kind("HorizontalPodAutoscaler"):
        target = cluster.workload(scaler["spec"]["scaleTargetRef"]["name"])
        if target is None:
            yield f"autoscaler {scaler['metadata']['name']}: no such deployment"
        elif "replicas" in target.object["spec"]:
            yield f"{target.name}: `replicas` and an autoscaler fight over the number of pods"
    for item in cluster.objects:
        if item["kind"] != "Namespace" and item["metadata"].get("namespace") != "gatehouse":
            yield f"{item['kind']} {item['metadata']['name']} is outside the namespace"


def selectors_match(cluster: Cluster) -> Iterator[str]:
    """Whatever selects pods selects some, and workloads select their own only."""
    for workload in cluster.workloads:
        if cluster.selected(workload.object["spec"]["selector"]) != [workload]:
            yield f"{workload.name}: its selector does not select exactly its own pods"
        for constraint in workload.pod.get("topologySpreadConstraints", []):
            if not selects(constraint["labelSelector"], workload.labels):
                yield f"{workload.name}: a spread constraint counts other pods"
    for service in cluster.of_kind("Service"):
        if len(cluster.selected({"matchLabels": service["spec"].get("selector", {})})) != 1:
            yield f"service {service['metadata']['name']} does not select exactly one workload"
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        for item in cluster.of_kind(kind):
            selector = item["spec"].get("selector" if kind == "PodDisruptionBudget" else "podSelector", {})
            if not cluster.selected(selector):
                yield f"{kind} {item['metadata']['name']} selects no pod"


def ports_exist(cluster: Cluster) -> Iterator[str]:
    """Probes, services and policies name ports that the pods have."""
    for workload in cluster.workloads:
        for container in workload.containers:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if probe not in container:
                    yield f"{workload.name}: no {probe}"
                    continue
                check = container[probe].get("httpGet") or container[probe].get("tcpSocket")
                if check and not workload.has_port(check["port"]):
                    yield f"{workload.name}: {probe} asks port {check['port']}, which is not there"
                if "httpGet" in container[probe] and check["port"] != "admin":
                    yield f"{workload.name}: {probe} asks {check['port']}, health is on the admin port"
    for service in cluster.of_kind("Service"):
        for workload in cluster.selected({"matchLabels": service["spec"].get("selector", {})}):
            for port in service["spec"]["ports"]:
                if not workload.has_port(port["targetPort"]):
                    yield f"service {service['metadata']['name']}: no port {port['targetPort']} in {workload.name}"
                if workload.number(port["targetPort"]) == workload.ports.get("admin"):
                    yield f"service {service['metadata']['name']} publishes the admin port"
                # A headless service does not translate ports.
                if service["spec"].get("clusterIP") == "None" and workload.number(port["targetPort"]) != port["port"]:
                    yield f"service {service['metadata']['name']} is headless, but {port['port']} is not the pods' port"


def one_front_door(cluster: Cluster) -> Iterator[str]:
    """One layer-4 service reaches the gateway from outside, and nothing else does."""
    if cluster.of_kind("Ingress"):
        yield "an Ingress: the gateway is the front door"
    outside = [s["metadata"]["name"] for s in cluster.of_kind("Service") if s["spec"].get("type", "ClusterIP") != "ClusterIP"]
    if outside != ["gateway"]:
        yield f"services reachable from outside: {outside}"
    gateway = cluster.find("Service", "gateway")
    if gateway and gateway["spec"].get("externalTrafficPolicy") != "Local":
        yield "client addresses are lost without externalTrafficPolicy Local"
    if gateway and {port["port"] for port in gateway["spec"]["ports"]} != {443, 80}:
        yield "the public ports are not 443 and 80"


def disruptions_leave_a_pod(cluster: Cluster) -> Iterator[str]:
    """A budget lets one pod go and keeps one; every replicated workload has exactly one budget."""
    for workload in cluster.workloads:
        least = cluster.least_replicas(workload)
        budgets = [b for b in cluster.of_kind("PodDisruptionBudget") if selects(b["spec"]["selector"], workload.labels)]
        if least > 1 and len(budgets) != 1:
            yield f"{workload.name}: {len(budgets)} disruption budgets"
        for budget in budgets:
            spec = budget["spec"]
            kept = spec["minAvailable"] if "minAvailable" in spec else least - spec["maxUnavailable"]
            if not 1 <= kept < least:
                yield f"{workload.name}: of {least} pods the budget keeps {kept}"
    for scaler in cluster.of_kind("HorizontalPodAutoscaler"):
        down = scaler["spec"]["behavior"]["scaleDown"]
        if down["stabilizationWindowSeconds"] < 300 or any(policy["value"] > 1 for policy in down["policies"]):
            yield f"autoscaler {scaler['metadata']['name']} scales down fast: every pod that goes moves its sockets"


def drains_fit_the_grace_period(cluster: Cluster) -> Iterator[str]:
    """Notice and drain end before the kubelet kills, and notice is longer than the readiness probe needs to see it."""
    config = gateway_config(cluster)
    for workload in cluster.workloads:
        if "gatehouse/drain-notice-seconds" not in workload.annotations:
            if workload.name != "redis":
                yield f"{workload.name}: its drain is not declared"
            continue
        notice = int(workload.annotations["gatehouse/drain-notice-seconds"])
        deadline = int(workload.annotations["gatehouse/drain-deadline-seconds"])
        grace = workload.pod["terminationGracePeriodSeconds"]
        if grace < notice + deadline + GRACE_MARGIN:
            yield f"{workload.name}: {grace} s of grace, but {notice} + {deadline} + {GRACE_MARGIN} s are needed"
        container = workload.containers[0]
        probe = container["readinessProbe"]
        if notice < probe["periodSeconds"] * probe["failureThreshold"] + 5:
            yield f"{workload.name}: readiness needs longer to fail than the {notice} s of notice"
        stop = container.get("lifecycle", {}).get("preStop", {})
        if workload.name == "gateway":
            if seconds(config["drain"]["delay"]) != notice or seconds(config["drain"]["deadline"]) != deadline:
                yield "gateway: gateway.toml's [drain] is not what the annotations say"
            if stop.get("exec", {}).get("command") != ["/usr/local/bin/gateway", "drain"]:
                yield "gateway: preStop does not run `gateway drain`"
        elif stop.get("sleep", {}).get("seconds") != notice:
            yield f"{workload.name}: preStop does not wait the {notice} s of notice"


def policies_close_and_connect(cluster: Cluster) -> Iterator[str]:
    """Default deny both ways; what one pod may send, the other may receive; every pod that needs Redis reaches it."""
    policies = cluster.of_kind("NetworkPolicy")
    if not any(p["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} for p in policies):
        yield "no default-deny policy"
    for policy in policies:
        name = policy["metadata"]["name"]
        for rule in policy["spec"].get("ingress", []):
            for port in rule.get("ports", []):
                if not any(w.has_port(port["port"]) for w in cluster.selected(policy["spec"]["podSelector"])):
                    yield f"policy {name}: no selected pod has port {port['port']}"
            if not rule.get("from") and name != "gateway":
                yield f"policy {name} lets everyone in"
        for rule in policy["spec"].get("egress", []):
            if not rule.get("to") or not rule.get("ports"):
                yield f"policy {name} lets everything out"
            for peer in rule.get("to", []):
                if "namespaceSelector" in peer or "podSelector" not in peer:
                    continue
                receivers = cluster.selected(peer["podSelector"])
                if not receivers:
                    yield f"policy {name} points at no pod"
                for sender in cluster.selected(policy["spec"]["podSelector"]):
                    for receiver in receivers:
                        for port in rule["ports"]:
                            if not admits(policies, sender.labels, receiver, port["port"]):
                                yield f"{receiver.name}:{port['port']} does not admit {sender.name}, though {name} sends it there"
    for workload in cluster.workloads:
        uses = {env["name"] for container in workload.containers for env in container.get("env", [])}
        ways = [p for p in policies if p["metadata"]["name"] == "to-redis" and selects(p["spec"]["podSelector"], workload.labels)]
        if "REDIS_URL" in uses and not ways:
            yield f"{workload.name} uses Redis, but no policy lets it out to one"


def admits(policies: list[dict], sender: dict, receiver, port: int | str) -> bool:
    """Whether some policy of the receiver lets this sender in on this port."""
    for policy in policies:
        if not selects(policy["spec"]["podSelector"], receiver.labels):
            continue
        for rule in policy["spec"].get("ingress", []):
            from_sender = any(selects(peer.get("podSelector", {}), sender) and "namespaceSelector" not in peer for peer in rule.get("from", []))
            if from_sender and any(receiver.number(p["port"]) == receiver.number(port) for p in rule["ports"]):
                return True
    return False


def nothing_secret_in_the_open(cluster: Cluster) -> Iterator[str]:
    """Secrets come by reference: no credential in a manifest, an environment value or a config map."""
    suspicious = re.compile(r"(?i)(password|secret|token|api_?key)")
    credential_in_url = re.compile(r"\w+://[^/\s@]+@")
    for workload in cluster.workloads:
        for container in workload.containers:
            for env in container.get("env", []):
                if "value" in env and (suspicious.search(env["name"]) or credential_in_url.search(env["value"])):
                    yield f"{workload.name}: {env['name']} stands in the manifest"
    for config_map in cluster.of_kind("ConfigMap"):
        for key, value in config_map["data"].items():
            if suspicious.search(key) or credential_in_url.search(value):
                yield f"config map {config_map['metadata']['name']}: {key} looks like a secret"
    for secret in cluster.of_kind("Secret"):
        import base64

        for key, value in secret.get("data", {}).items():
            if base64.b64decode(value) != b"redis://redis:6379/":
                yield f"secret {secret['metadata']['name']}: {key} is in the repository"


def gateway_config_fits(cluster: Cluster) -> Iterator[str]:
    """gateway.toml speaks of this cluster's ports, services and mounts."""
    config, gateway = gateway_config(cluster), cluster.workload("gateway")
    for name, address in [(li["name"], li["address"]) for li in config["listener"]] + [("admin", config["admin"]["address"])]:
        if gateway.ports.get(name) != port_of(address):
            yield f"gateway.toml: {name} listens on {address}, the pod says {gateway.ports.get(name)}"
        if address.startswith(("127.", "localhost", "[::1]")):
            yield f"gateway.toml: {name} listens on loopback only, nobody reaches it there"
    for upstream in config["upstream"]:
        for target in upstream["targets"]:
            kind, host, port = target.split(":")
            service_name, namespace, *rest = host.split(".")
            service = cluster.find("Service", service_name)
            if kind != "dns" or [namespace, *rest] != ["gatehouse", "svc", "cluster", "local"] or service is None:
                yield f"gateway.toml: {target} is no service of this namespace"
            elif int(port) not in {p["port"] for p in service["spec"]["ports"]}:
                yield f"gateway.toml: {target} asks a port that the service does not have"
    mounts = {mount["name"]: mount["mountPath"] for mount in gateway.containers[0]["volumeMounts"]}
    tls = next(v["name"] for v in gateway.pod["volumes"] if v.get("secret", {}).get("secretName") == "gateway-tls")
    for certificate in config["certificate"]:
        if [certificate.get("cert"), certificate.get("key")] != [f"{mounts[tls]}/tls.crt", f"{mounts[tls]}/tls.key"]:
            yield f"gateway.toml: certificate {certificate['name']} is not where the Secret gateway-tls is mounted"


def images_are_pinned(cluster: Cluster) -> Iterator[str]:
    """Every image has a tag or digest that means one thing."""
    for workload in cluster.workloads:
        for container in workload.containers:
            tag = container["image"].rpartition("/")[2].partition(":")[2]
            if tag in ("", "latest") and "@sha256:" not in container["image"]:
                yield f"{workload.name}: {container['image']} is not pinned"


def gateway_config(cluster: Cluster) -> dict:
    return tomllib.loads(cluster.find("ConfigMap", "gateway-config")["data"]["gateway.toml"])


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def seconds(duration: str) -> int:
    amount, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()
    return int(amount) * {"s": 1, "m": 60}[unit]


ALL = [pods_are_restricted, references_exist, selectors_match, ports_exist, one_front_door, disruptions_leave_a_pod,
       drains_fit_the_grace_period, policies_close_and_connect, nothing_secret_in_the_open, gateway_config_fits,
       images_are_pinned]
