"""Every overlay renders, matches the API schemas of several Kubernetes versions, and satisfies the invariants."""

from pathlib import Path

import kubernetes_validate
import pytest

import invariants
from cluster import Cluster
from kustomization import render, render_with_kubectl

K8S = Path(__file__).resolve().parent.parent
OVERLAYS = sorted(path.name for path in (K8S / "overlays").iterdir())
# The oldest and the newest tested version, and one in between. 1.30 is the first with `preStop.sleep` on by default.
VERSIONS = ["1.31", "1.33", "1.36"]


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def objects(overlay) -> list[dict]:
    directory = K8S / "overlays" / overlay
    return render_with_kubectl(directory) or render(directory)


def test_overlays_are_complete():
    assert OVERLAYS == ["aws", "azure", "local"]


def test_renderer_agrees_with_kubectl(overlay):
    directory = K8S / "overlays" / overlay
    theirs = render_with_kubectl(directory)
    if theirs is None:
        pytest.skip("no kubectl with kustomize v5 on this machine to compare with")
    assert by_name(render(directory)) == by_name(theirs)


@pytest.mark.parametrize("version", VERSIONS)
def test_objects_match_the_schema(objects, version):
    for item in objects:
        kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.parametrize("invariant", invariants.ALL, ids=lambda check: check.__name__)
def test_invariant_holds(objects, invariant):
    assert list(invariant(Cluster(objects))) == []


def by_name(objects: list[dict]) -> dict:
    named = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    assert len(named) == len(objects), "two objects with the same name"
    return named
