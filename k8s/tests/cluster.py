"""The rendered objects with their relations: labels, selected pods, and ports."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """A Deployment or StatefulSet and its pods."""

    object: dict

    @property
    def name(self) -> str:
        return self.object["metadata"]["name"]

    @property
    def template(self) -> dict:
        return self.object["spec"]["template"]

    @property
    def labels(self) -> dict:
        return self.template["metadata"].get("labels", {})

    @property
    def annotations(self) -> dict:
        return self.template["metadata"].get("annotations", {})

    @property
    def pod(self) -> dict:
        return self.template["spec"]

    @property
    def containers(self) -> list[dict]:
        return self.pod.get("initContainers", []) + self.pod["containers"]

    @property
    def ports(self) -> dict[str, int]:
        return {
            port["name"]: port["containerPort"] for container in self.containers for port in container.get("ports", [])
        }

    def has_port(self, port: str | int) -> bool:
        return port in self.ports or port in self.ports.values()

    def number(self, port: str | int) -> int | None:
        return self.ports.get(port) if isinstance(port, str) else port


class Cluster:
    """All objects of one overlay."""

    def __init__(self, objects: list[dict]):
        self.objects = objects
        self.workloads = [Workload(item) for item in objects if item["kind"] in ("Deployment", "StatefulSet")]

    def of_kind(self, kind: str) -> list[dict]:
        return [item for item in self.objects if item["kind"] == kind]

    def find(self, kind: str, name: str) -> dict | None:
        return next((item for item in self.of_kind(kind) if item["metadata"]["name"] == name), None)

    def workload(self, name: str) -> Workload | None:
        return next((workload for workload in self.workloads if workload.name == name), None)

    def selected(self, selector: dict) -> list[Workload]:
        return [workload for workload in self.workloads if selects(selector, workload.labels)]

    def least_replicas(self, workload: Workload) -> int:
        """The minimum number of pods of this workload: the autoscaler's, or else its own number."""
        for scaler in self.of_kind("HorizontalPodAutoscaler"):
            if scaler["spec"]["scaleTargetRef"]["name"] == workload.name:
                return scaler["spec"].get("minReplicas", 1)
        return workload.object["spec"].get("replicas", 1)


def selects(selector: dict, labels: dict) -> bool:
    """Whether a label selector (`matchLabels` and `matchExpressions` with In) selects these labels."""
    for rule in selector.get("matchExpressions", []):
        if rule["operator"] != "In":
            raise AssertionError(f"selector operator {rule['operator']} is not implemented here")
        if labels.get(rule["key"]) not in rule["values"]:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
