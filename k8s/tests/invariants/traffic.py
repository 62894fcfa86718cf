"""Traffic: who selects whom, on which ports, and who is let in and out."""

from collections.abc import Iterator

from cluster import Cluster, selects


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
            yield f"{workload.name} uses Redis, but no policy lets it out to one"


def unanswered(cluster: Cluster, policy: dict, peer: dict, port: int | str) -> Iterator[str]:
    """What a policy sends to a peer inside the namespace, though that does not take it."""
    if "namespaceSelector" in peer or "podSelector" not in peer:
        return
    name, receivers = policy["metadata"]["name"], cluster.selected(peer["podSelector"])
    if not receivers:
        yield f"policy {name} points at no pod"
    for sender in cluster.selected(policy["spec"]["podSelector"]):
        for receiver in receivers:
            if not admits(cluster.of_kind("NetworkPolicy"), sender.labels, receiver, port):
                yield f"{name} sends {sender.name} to {receiver.name}:{port}, which does not admit it"


def admits(policies: list[dict], sender: dict, receiver, port: int | str) -> bool:
    """Whether some policy of the receiver lets this sender in on this port."""
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
