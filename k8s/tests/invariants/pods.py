"""Pods: privileges, references, disruption and drain."""

import base64
import re
from collections.abc import Iterator

from cluster import Cluster, selects
from invariants.gateway_toml import gateway_config, seconds

# Created by the operator before the first apply: docs/deployment.md.
SECRETS_FROM_OUTSIDE = {"gateway-tls", "redis", "model"}
GRACE_MARGIN = 5


def pods_are_restricted(cluster: Cluster) -> Iterator[str]:
    """Non-root, read-only, without capabilities: stricter than Pod Security's `restricted`."""
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
                yield f"{workload.name}: privilege escalation is allowed"
            if inner.get("readOnlyRootFilesystem") is not True:
                yield f"{workload.name}: the root file system is writable"
            if inner.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{workload.name}: capabilities are not dropped"
            for kind in ("requests", "limits"):
                if set(container.get("resources", {}).get(kind, {})) != {"cpu", "memory"}:
                    yield f"{workload.name}: no {kind} of cpu and memory"
    for namespace in cluster.of_kind("Namespace"):
        if namespace["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "restricted":
            yield "the namespace does not enforce Pod Security `restricted`"


def references_exist(cluster: Cluster) -> Iterator[str]:
    """Service accounts, config maps, secrets, volumes, namespaces and scaling targets exist."""
    for workload in cluster.workloads:
        pod = workload.pod
        if not cluster.find("ServiceAccount", pod.get("serviceAccountName", "default")):
            yield f"{workload.name}: no service account"
        claims = {claim["metadata"]["name"] for claim in workload.object["spec"].get("volumeClaimTemplates", [])}
        volumes = {volume["name"] for volume in pod.get("volumes", [])} | claims
        config_maps = [v["configMap"]["name"] for v in pod.get("volumes", []) if "configMap" in v]
        secrets = [v["secret"]["secretName"] for v in pod.get("volumes", []) if "secret" in v]
        for container in workload.containers:
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes:
                    yield f"{workload.name}: no volume `{mount['name']}`"
                if "subPath" in mount:
                    yield f"{workload.name}: `{mount['name']}` is mounted by subPath, so it would never be reloaded"
            sources = [e.get("valueFrom", {}) for e in container.get("env", [])] + container.get("envFrom", [])
            config_maps += [s[k]["name"] for s in sources for k in ("configMapRef", "configMapKeyRef") if k in s]
            secrets += [s[k]["name"] for s in sources for k in ("secretRef", "secretKeyRef") if k in s]
        for name in config_maps:
            if not cluster.find("ConfigMap", name):
                yield f"{workload.name}: no config map `{name}`"
        for name in secrets:
            if not cluster.find("Secret", name) and name not in SECRETS_FROM_OUTSIDE:
                yield f"{workload.name}: nothing creates the secret `{name}`"
    for scaler in cluster.of_kind("HorizontalPodAutoscaler"):
        target = cluster.workload(scaler["spec"]["scaleTargetRef"]["name"])
        if target is None:
            yield f"autoscaler {scaler['metadata']['name']}: no such deployment"
        elif "replicas" in target.object["spec"]:
            yield f"{target.name}: both `replicas` and an autoscaler set the number of pods"
    for item in cluster.objects:
        if item["kind"] != "Namespace" and item["metadata"].get("namespace") != "gatehouse":
            yield f"{item['kind']} {item['metadata']['name']} is outside the namespace"


def disruptions_leave_a_pod(cluster: Cluster) -> Iterator[str]:
    """A budget allows one disruption and keeps one pod; every replicated workload has exactly one budget."""
    for workload in cluster.workloads:
        least = cluster.least_replicas(workload)
        budgets = [b for b in cluster.of_kind("PodDisruptionBudget") if selects(b["spec"]["selector"], workload.labels)]
        if least > 1 and len(budgets) != 1:
            yield f"{workload.name}: {len(budgets)} disruption budgets"
        for budget in budgets:
            spec = budget["spec"]
            kept = spec["minAvailable"] if "minAvailable" in spec else least - spec["maxUnavailable"]
            if not 1 <= kept < least:
                yield f"{workload.name}: the budget keeps {kept} of {least} pods"
    for scaler in cluster.of_kind("HorizontalPodAutoscaler"):
        down = scaler["spec"]["behavior"]["scaleDown"]
        if down["stabilizationWindowSeconds"] < 300 or any(policy["value"] > 1 for policy in down["policies"]):
            yield f"autoscaler {scaler['metadata']['name']} scales down too fast: every removed pod makes its sockets reconnect"


def drains_fit_the_grace_period(cluster: Cluster) -> Iterator[str]:
    """Notice and drain end before the kubelet kills, and the notice is longer than the readiness probe needs to fail."""
    config = gateway_config(cluster)
    for workload in cluster.workloads:
        if "gatehouse/drain-notice-seconds" not in workload.annotations:
            if workload.name != "redis":
                yield f"{workload.name}: its drain has no annotations"
            continue
        notice = int(workload.annotations["gatehouse/drain-notice-seconds"])
        deadline = int(workload.annotations["gatehouse/drain-deadline-seconds"])
        grace = workload.pod["terminationGracePeriodSeconds"]
        if grace < notice + deadline + GRACE_MARGIN:
            yield f"{workload.name}: {grace} s of grace, expected at least {notice} + {deadline} + {GRACE_MARGIN} s"
        container = workload.containers[0]
        probe = container["readinessProbe"]
        if notice < probe["periodSeconds"] * probe["failureThreshold"] + 5:
            yield f"{workload.name}: the readiness probe needs longer to fail than the {notice} s of notice"
        stop = container.get("lifecycle", {}).get("preStop", {})
        if workload.name == "gateway":
            if seconds(config["drain"]["delay"]) != notice or seconds(config["drain"]["deadline"]) != deadline:
                yield "gateway: gateway.toml's [drain] differs from the annotations"
            program, _run, *which = container["command"]
            if stop.get("exec", {}).get("command") != [program, "drain", *which]:
                yield "gateway: preStop does not drain the gateway of this configuration"
            continue
        if stop.get("sleep", {}).get("seconds") != notice:
            yield f"{workload.name}: preStop does not wait the {notice} s of notice"
        if {env["name"]: env.get("value") for env in container["env"]}.get("DRAIN") != f"{deadline}s":
            yield f"{workload.name}: DRAIN is not the {deadline} s of the annotation"


def nothing_secret_in_the_open(cluster: Cluster) -> Iterator[str]:
    """Secrets are referenced: no credential in a manifest, an environment value or a config map."""
    suspicious = re.compile(r"(?i)(password|secret|token|api_?key)")
    credential_in_url = re.compile(r"\w+://[^/\s@]+@")
    for workload in cluster.workloads:
        for container in workload.containers:
            for env in container.get("env", []):
                if "value" in env and (suspicious.search(env["name"]) or credential_in_url.search(env["value"])):
                    yield f"{workload.name}: {env['name']} is in the manifest"
    for config_map in cluster.of_kind("ConfigMap"):
        for key, value in config_map["data"].items():
            if suspicious.search(key) or credential_in_url.search(value):
                yield f"config map {config_map['metadata']['name']}: {key} looks like a secret"
    for secret in cluster.of_kind("Secret"):
        for key, value in secret.get("data", {}).items():
            if base64.b64decode(value) != b"redis://redis:6379/":
                yield f"secret {secret['metadata']['name']}: {key} is in the repository"


def images_are_pinned(cluster: Cluster) -> Iterator[str]:
    """Every image has a fixed tag or a digest."""
    for workload in cluster.workloads:
        for container in workload.containers:
            tag = container["image"].rpartition("/")[2].partition(":")[2]
            if tag in ("", "latest") and "@sha256:" not in container["image"]:
                yield f"{workload.name}: {container['image']} is not pinned"
