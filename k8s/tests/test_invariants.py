"""Tests of the invariants: each fault in good manifests is found by its invariant."""

import copy
from pathlib import Path

import pytest

import invariants
from cluster import Cluster
from kustomization import render

LOCAL = render(Path(__file__).resolve().parent.parent / "overlays" / "local")
AWS = render(Path(__file__).resolve().parent.parent / "overlays" / "aws")


def pod(cluster, name="gateway"):
    return cluster.workload(name).pod


def container(cluster, name="gateway"):
    return pod(cluster, name)["containers"][0]


def policy(cluster, name):
    return cluster.find("NetworkPolicy", name)["spec"]


def edit_toml(cluster, old, new):
    data = cluster.find("ConfigMap", "gateway-config")["data"]
    assert old in data["gateway.toml"]
    data["gateway.toml"] = data["gateway.toml"].replace(old, new)


FAULTS = [
    (LOCAL, invariants.pods_are_restricted, lambda c: pod(c)["securityContext"].update(runAsUser=0)),
    (LOCAL, invariants.pods_are_restricted, lambda c: pod(c).pop("automountServiceAccountToken")),
    (LOCAL, invariants.pods_are_restricted, lambda c: pod(c).pop("enableServiceLinks")),
    (
        LOCAL,
        invariants.pods_are_restricted,
        lambda c: container(c)["securityContext"].update(readOnlyRootFilesystem=False),
    ),
    (
        LOCAL,
        invariants.pods_are_restricted,
        lambda c: container(c)["securityContext"]["capabilities"].update(add=["NET_ADMIN"]),
    ),
    (LOCAL, invariants.pods_are_restricted, lambda c: container(c)["resources"].pop("limits")),
    (LOCAL, invariants.pods_are_restricted, lambda c: c.find("Namespace", "gatehouse")["metadata"].update(labels={})),
    (LOCAL, invariants.references_exist, lambda c: pod(c).update(serviceAccountName="missing")),
    (LOCAL, invariants.references_exist, lambda c: c.objects.remove(c.find("ConfigMap", "gateway-config"))),
    (LOCAL, invariants.references_exist, lambda c: container(c)["volumeMounts"][0].update(subPath="gateway.toml")),
    (LOCAL, invariants.references_exist, lambda c: pod(c)["volumes"].clear()),
    (AWS, invariants.references_exist, lambda c: c.workload("gateway").object["spec"].update(replicas=2)),
    (AWS, invariants.references_exist, lambda c: c.find("Service", "gateway")["metadata"].pop("namespace")),
    (LOCAL, invariants.selectors_match, lambda c: c.find("Service", "gateway")["spec"]["selector"].clear()),
    (
        LOCAL,
        invariants.selectors_match,
        lambda c: c.workload("gateway").labels.update({"app.kubernetes.io/name": "other"}),
    ),
    (
        LOCAL,
        invariants.selectors_match,
        lambda c: c.find("PodDisruptionBudget", "gateway")["spec"].update(selector={"matchLabels": {"a": "b"}}),
    ),
    (LOCAL, invariants.ports_exist, lambda c: container(c)["readinessProbe"]["httpGet"].update(port="metrics")),
    (LOCAL, invariants.ports_exist, lambda c: container(c).pop("livenessProbe")),
    (
        LOCAL,
        invariants.ports_exist,
        lambda c: c.find("Service", "gateway")["spec"]["ports"][0].update(targetPort="admin"),
    ),
    (LOCAL, invariants.ports_exist, lambda c: c.find("Service", "backend-api")["spec"]["ports"][0].update(port=80)),
    (LOCAL, invariants.one_public_service, lambda c: c.find("Service", "backend-api")["spec"].update(type="LoadBalancer")),
    (LOCAL, invariants.one_public_service, lambda c: c.find("Service", "gateway")["spec"].pop("externalTrafficPolicy")),
    (LOCAL, invariants.disruptions_leave_a_pod, lambda c: c.workload("gateway").object["spec"].update(replicas=1)),
    (
        LOCAL,
        invariants.disruptions_leave_a_pod,
        lambda c: c.find("PodDisruptionBudget", "gateway")["spec"].update(maxUnavailable=0),
    ),
    (
        LOCAL,
        invariants.disruptions_leave_a_pod,
        lambda c: c.objects.remove(c.find("PodDisruptionBudget", "backend-live")),
    ),
    (
        AWS,
        invariants.disruptions_leave_a_pod,
        lambda c: c.find("HorizontalPodAutoscaler", "gateway")["spec"]["behavior"]["scaleDown"].update(
            stabilizationWindowSeconds=0
        ),
    ),
    (LOCAL, invariants.drains_fit_the_grace_period, lambda c: pod(c).update(terminationGracePeriodSeconds=80)),
    (LOCAL, invariants.drains_fit_the_grace_period, lambda c: edit_toml(c, 'deadline = "60s"', 'deadline = "2m"')),
    (LOCAL, invariants.drains_fit_the_grace_period, lambda c: container(c).pop("lifecycle")),
    (
        LOCAL,
        invariants.drains_fit_the_grace_period,
        lambda c: container(c)["lifecycle"]["preStop"]["exec"].update(command=["/usr/local/bin/gateway", "drain"]),
    ),
    (
        LOCAL,
        invariants.drains_fit_the_grace_period,
        lambda c: container(c, "backend-api")["readinessProbe"].update(periodSeconds=10),
    ),
    (LOCAL, invariants.drains_fit_the_grace_period, lambda c: container(c, "backend-live").pop("lifecycle")),
    (LOCAL, invariants.drains_fit_the_grace_period, lambda c: container(c, "backend-live")["env"].pop(1)),
    (LOCAL, invariants.policies_close_and_connect, lambda c: c.objects.remove(c.find("NetworkPolicy", "default-deny"))),
    (LOCAL, invariants.policies_close_and_connect, lambda c: policy(c, "backend-api")["ingress"].clear()),
    (LOCAL, invariants.policies_close_and_connect, lambda c: policy(c, "backend-live")["ingress"][0].pop("from")),
    (
        LOCAL,
        invariants.policies_close_and_connect,
        lambda c: policy(c, "redis")["ingress"][0]["ports"][0].update(port=6380),
    ),
    (LOCAL, invariants.policies_close_and_connect, lambda c: policy(c, "backend-api")["egress"].append({})),
    (AWS, invariants.policies_close_and_connect, lambda c: c.objects.remove(c.find("NetworkPolicy", "to-redis"))),
    (
        LOCAL,
        invariants.nothing_secret_in_the_open,
        lambda c: (
            container(c)["env"].append({"name": "OPENAI_API_KEY", "value": "k"})
            if "env" in container(c)
            else container(c).update(env=[{"name": "OPENAI_API_KEY", "value": "k"}])
        ),
    ),
    (
        LOCAL,
        invariants.nothing_secret_in_the_open,
        lambda c: c.find("ConfigMap", "backend-settings")["data"].update(REDIS_URL="rediss://u:p@host/"),
    ),
    (
        LOCAL,
        invariants.nothing_secret_in_the_open,
        lambda c: c.find("Secret", "redis")["data"].update(url="cmVkaXM6Ly86cEBoLw=="),
    ),
    (LOCAL, invariants.gateway_config_fits, lambda c: edit_toml(c, ":8443", ":443")),
    (LOCAL, invariants.gateway_config_fits, lambda c: edit_toml(c, "0.0.0.0:9090", "127.0.0.1:9090")),
    (LOCAL, invariants.gateway_config_fits, lambda c: edit_toml(c, "backend-live.gatehouse", "backend-live.elsewhere")),
    (
        LOCAL,
        invariants.gateway_config_fits,
        lambda c: edit_toml(c, "/etc/gatehouse-tls/tls.key", "/etc/gatehouse/tls.key"),
    ),
    (LOCAL, invariants.images_are_pinned, lambda c: container(c).update(image="gatehouse/gateway:latest")),
]


@pytest.mark.parametrize(("good", "invariant", "break_it"), FAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_fault_is_found(good, invariant, break_it):
    cluster = Cluster(copy.deepcopy(good))
    assert list(invariant(cluster)) == []
    break_it(cluster)
    assert list(invariant(cluster)) != []
