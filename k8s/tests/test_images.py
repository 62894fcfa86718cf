"""The Dockerfiles match the manifests: path of the program, user, ports."""

import re
from pathlib import Path

import pytest

from cluster import Cluster
from kustomization import render

K8S = Path(__file__).resolve().parent.parent
CLUSTER = Cluster(render(K8S / "overlays" / "local"))


def dockerfile(program: str) -> list[tuple[str, str]]:
    lines = (K8S / "images" / f"{program}.Dockerfile").read_text().splitlines()
    return [tuple(line.split(" ", 1)) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("workload", ["gateway", "backend-api", "backend-live"])
def test_image_matches_the_manifest(workload):
    workload = CLUSTER.workload(workload)
    container, context = workload.pod["containers"][0], workload.pod["securityContext"]
    program = container["command"][0]
    instructions = dockerfile(Path(program).name)
    assert ("ENTRYPOINT", f'["{program}"]') in instructions
    assert any(name == "COPY" and text.endswith(f" {program}") for name, text in instructions)
    assert ("USER", f"{context['runAsUser']}:{context['runAsGroup']}") in instructions
    exposed = {int(port) for name, text in instructions if name == "EXPOSE" for port in text.split()}
    assert set(workload.ports.values()) <= exposed


@pytest.mark.parametrize("program", ["gateway", "backend"])
def test_image_contains_only_the_program_and_certificates(program):
    instructions = dockerfile(program)
    assert instructions[0] == ("FROM", "scratch")
    copied = [re.sub(r"--chmod=\d+ ", "", text).split()[0] for name, text in instructions if name == "COPY"]
    assert copied == ["ca-certificates.crt", program]
    assert not any(name in ("RUN", "ADD") for name, _ in instructions)
