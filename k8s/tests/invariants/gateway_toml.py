"""gateway.toml: its ports, services and mounts must match the cluster."""

import re
import tomllib
from collections.abc import Iterator

from cluster import Cluster


def gateway_config_fits(cluster: Cluster) -> Iterator[str]:
    """gateway.toml names the ports, services and mounts of this cluster."""
    config, gateway = gateway_config(cluster), cluster.workload("gateway")
    for name, address in [(li["name"], li["address"]) for li in config["listener"]] + [
        ("admin", config["admin"]["address"])
    ]:
        if gateway.ports.get(name) != port_of(address):
            yield f"gateway.toml: {name} listens on {address}, the pod declares {gateway.ports.get(name)}"
        if address.startswith(("127.", "localhost", "[::1]")):
            yield f"gateway.toml: {name} listens on loopback only and is unreachable"
    for upstream in config["upstream"]:
        for target in upstream["targets"]:
            kind, host, port = target.split(":")
            service_name, namespace, *rest = host.split(".")
            service = cluster.find("Service", service_name)
            if kind != "dns" or [namespace, *rest] != ["gatehouse", "svc", "cluster", "local"] or service is None:
                yield f"gateway.toml: {target} is not a service of this namespace"
            elif int(port) not in {p["port"] for p in service["spec"]["ports"]}:
                yield f"gateway.toml: {target} uses a port that the service does not have"
    mounts = {mount["name"]: mount["mountPath"] for mount in gateway.containers[0]["volumeMounts"]}
    tls = next(v["name"] for v in gateway.pod["volumes"] if v.get("secret", {}).get("secretName") == "gateway-tls")
    for certificate in config["certificate"]:
        if [certificate.get("cert"), certificate.get("key")] != [f"{mounts[tls]}/tls.crt", f"{mounts[tls]}/tls.key"]:
            yield f"gateway.toml: certificate {certificate['name']} does not match the mount of the Secret gateway-tls"


def gateway_config(cluster: Cluster) -> dict:
    return tomllib.loads(cluster.find("ConfigMap", "gateway-config")["data"]["gateway.toml"])


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def seconds(duration: str) -> int:
    amount, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()
    return int(amount) * {"s": 1, "m": 60}[unit]
