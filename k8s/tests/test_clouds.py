"""The cloud overlays match the resources that terraform/ creates with its defaults."""

import ipaddress
import re
from pathlib import Path

import pytest

from cluster import Cluster
from kustomization import render

K8S = Path(__file__).resolve().parent.parent
TERRAFORM = K8S.parent / "terraform"


def default_of(cloud: str, variable: str) -> str:
    text = (TERRAFORM / cloud / "variables.tf").read_text()
    block = re.search(rf'variable "{variable}" \{{(.*?)^\}}', text, re.S | re.M)[1]
    return re.search(r'default\s+= "([^"]+)"', block)[1]


@pytest.mark.parametrize(("cloud", "port"), [("aws", 6379), ("azure", 10000)])
def test_pods_may_reach_redis_in_the_data_subnets(cloud, port):
    # modules/plan: the fifteenth of sixteen parts of the network, cidrsubnet(network, 4, 14).
    data = list(ipaddress.ip_network(default_of(cloud, "network")).subnets(prefixlen_diff=4))[14]
    policy = Cluster(render(K8S / "overlays" / cloud)).find("NetworkPolicy", "to-redis")
    assert policy["spec"]["egress"] == [
        {"to": [{"ipBlock": {"cidr": str(data)}}], "ports": [{"protocol": "TCP", "port": port}]}
    ]


def test_azure_load_balancer_uses_the_static_address():
    annotations = Cluster(render(K8S / "overlays" / "azure")).find("Service", "gateway")["metadata"]["annotations"]
    name = default_of("azure", "name")
    assert annotations["service.beta.kubernetes.io/azure-pip-name"] == f"{name}-gateway"
    assert annotations["service.beta.kubernetes.io/azure-load-balancer-resource-group"] == name


def test_azure_api_role_has_a_workload_identity():
    cluster = Cluster(render(K8S / "overlays" / "azure"))
    assert cluster.workload("backend-api").labels["azure.workload.identity/use"] == "true"
    assert (
        "azure.workload.identity/client-id" in cluster.find("ServiceAccount", "backend-api")["metadata"]["annotations"]
    )
    subject = re.search(r'subject\s+= "([^"]+)"', (TERRAFORM / "azure" / "identities.tf").read_text())[1]
    assert subject == "system:serviceaccount:gatehouse:backend-api"


def test_aws_images_come_from_the_repositories_of_terraform():
    cluster = Cluster(render(K8S / "overlays" / "aws"))
    plan = (TERRAFORM / "modules" / "plan" / "main.tf").read_text()
    for workload in cluster.workloads:
        registry, _, repository = workload.pod["containers"][0]["image"].rpartition(":")[0].partition("/")
        assert re.fullmatch(rf"\d{{12}}\.dkr\.ecr\.{default_of('aws', 'region')}\.amazonaws\.com", registry)
        assert f'"{repository}"' in plan
