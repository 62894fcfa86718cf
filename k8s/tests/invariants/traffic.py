"""Traffic: selectors, ports, and network policies."""

from collections.abc import Iterator

from cluster import Cluster, selects


def selectors_match(cluster: Cluster) -> Iterator[str]:
    """Every selector selects pods, and workloads select only their own."""
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
    """Probes, services and policies use ports that the pods have."""
    for workload in cluster.workloads:
        for container in workload.containers:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if probe not in container:
                    yield f"{workload.name}: no {probe}"
                    continue
                check = container[probe].get("httpGet") or container[probe].get("tcpSocket")
                if check and not workload.has_port(check["port"]):
                    yield f"{workload.name}: {probe} uses port {check['port']}, which does not exist"
                if "httpGet" in container[probe] and check["port"] != "admin":
                    yield f"{workload.name}: {probe} uses {check['port']} instead of the admin port"
    for service in cluster.of_kind("Service"):
        for workload in cluster.selected({"matchLabels": service["spec"].get("selector", {})}):
            for port in service["spec"]["ports"]:
                if not workload.has_port(port["targetPort"]):
                    yield f"service {service['metadata']['name']}: no port {port['targetPort']} in {workload.name}"
                if workload.number(port["targetPort"]) == workload.ports.get("admin"):
                    yield f"service {service['metadata']['name']} publishes the admin port"
                # A headless service does not translate ports.
                if service["spec"].get("clusterIP") == "None" and workload.number(port["targetPort"]) != port["port"]:
                    yield f"service {service['metadata']['name']} is headless, so its port {port['port']} must be the pods' port"


def one_public_service(cluster: Cluster) -> Iterator[str]:
    """Only one layer-4 service, of the gateway, is reachable from outside."""
    if cluster.of_kind("Ingress"):
        yield "an Ingress exists: the gateway must be the only entrance"
    outside = [
        s["metadata"]["name"] for s in cluster.of_kind("Service") if s["spec"].get("type", "ClusterIP") != "ClusterIP"
    ]
    if outside != ["gateway"]:
        yield f"services reachable from outside: {outside}"
    gateway = cluster.find("Service", "gateway")
    if gateway and gateway["spec"].get("externalTrafficPolicy") != "Local":
        yield "client addresses are lost without externalTrafficPolicy Local"
    if gateway and {port["port"] for port in gateway["spec"]["ports"]} != {443, 80}:
        yield "the public ports are not 443 and 80"


def policies_close_and_connect(cluster: Cluster) -> Iterator[str]:
    """Default deny in both directions; egress and ingress rules match; every pod that uses Redis may reach it."""
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
                yield f"policy {name} admits everyone"
        for rule in policy["spec"].get("egress", []):
            if not rule.get("to") or not rule.get("ports"):
                yield f"policy {name} allows all egress"
            for port in rule.get("ports", []):
                for peer in rule.get("to", []):
                    yield from unanswered(cluster, policy, peer, port["port"])
    for workload in cluster.workloads:
        uses = {env["name"] for container in workload.containers for env in container.get("env", [])}
        ways = [
            p
            for p in policies
            if p["metadata"]["name"] == "to-redis" and selects(p["spec"]["podSelector"], workload.labels)
        ]
        if "REDIS_URL" in uses and not ways:
            yield f"{workload.name} uses Redis, but no policy allows that egress"


def unanswered(cluster: Cluster, policy: dict, peer: dict, port: int | str) -> Iterator[str]:
    """Egress of a policy to a peer inside the namespace that does not admit it."""
    if "namespaceSelector" in peer or "podSelector" not in peer:
        return
    name, receivers = policy["metadata"]["name"], cluster.selected(peer["podSelector"])
    if not receivers:
        yield f"policy {name} selects no peer"
    for sender in cluster.selected(policy["spec"]["podSelector"]):
        for receiver in receivers:
            if not admits(cluster.of_kind("NetworkPolicy"), sender.labels, receiver, port):
                yield f"{name} allows {sender.name} to {receiver.name}:{port}, which does not admit it"


def admits(policies: list[dict], sender: dict, receiver, port: int | str) -> bool:
    """Whether a policy of the receiver admits this sender on this port."""
    for policy in policies:
        if not selects(policy["spec"]["podSelector"], receiver.labels):
            continue
        for rule in policy["spec"].get("ingress", []):
            from_sender = any(
                selects(peer.get("podSelector", {}), sender) and "namespaceSelector" not in peer
                for peer in rule.get("from", [])
            )
            if from_sender and any(receiver.number(p["port"]) == receiver.number(port) for p in rule["ports"]):
                return True
    return False
