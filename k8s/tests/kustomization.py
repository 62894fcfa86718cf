"""Renders the kustomizations with kubectl if possible, or else with the subset of kustomize that they use.

Debian 12 ships a kubectl without kustomize components, and no package registry has a newer one. This module therefore
renders every manifest without kubectl. If both are available, a test compares them. Unsupported features raise.
"""

import copy
import shutil
import subprocess
from pathlib import Path

import yaml

NOT_NAMESPACED = {"Namespace"}
KNOWN = {
    "apiVersion",
    "kind",
    "namespace",
    "labels",
    "resources",
    "components",
    "configMapGenerator",
    "secretGenerator",
    "generatorOptions",
    "images",
    "patches",
}


def render_with_kubectl(directory: Path) -> list[dict] | None:
    """The objects as built by kubectl; None without a kubectl that supports components."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        return None
    version = subprocess.run([kubectl, "version", "--client", "-o", "yaml"], capture_output=True, text=True, timeout=30)
    kustomize = yaml.safe_load(version.stdout or "{}").get("kustomizeVersion", "")
    if not kustomize.startswith("v5."):
        return None
    built = subprocess.run([kubectl, "kustomize", str(directory)], capture_output=True, text=True, timeout=60)
    if built.returncode != 0:
        raise AssertionError(f"kubectl kustomize {directory} failed:\n{built.stderr}")
    return [document for document in yaml.safe_load_all(built.stdout) if document]


def render(directory: Path, inherited: list[dict] | None = None) -> list[dict]:
    """The objects of a kustomization. A component receives the objects of its including kustomization."""
    spec = yaml.safe_load((directory / "kustomization.yaml").read_text())
    unknown = set(spec) - KNOWN
    if unknown:
        raise AssertionError(
            f"{directory}/kustomization.yaml uses {sorted(unknown)}, which this renderer does not support"
        )
    objects = inherited if inherited is not None else []
    for entry in spec.get("resources", []):
        path = directory / entry
        objects += render(path) if path.is_dir() else load(path)
    for entry in spec.get("components", []):
        objects = render(directory / entry, objects)
    if not spec.get("generatorOptions", {}).get("disableNameSuffixHash", False):
        assert not any(key in spec for key in ("configMapGenerator", "secretGenerator")), (
            "hashed names are not implemented"
        )
    objects += [config_map(entry, directory) for entry in spec.get("configMapGenerator", [])]
    objects += [secret(entry) for entry in spec.get("secretGenerator", [])]
    for patch in spec.get("patches", []):
        objects = apply_patch(objects, patch, directory)
    for item in objects:
        if "namespace" in spec and item["kind"] not in NOT_NAMESPACED:
            item["metadata"]["namespace"] = spec["namespace"]
        for rule in spec.get("labels", []):
            add_labels(item, rule)
        for image in spec.get("images", []):
            set_image(item, image)
    return objects


def load(path: Path) -> list[dict]:
    """Every document of a YAML file."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def config_map(entry: dict, directory: Path) -> dict:
    """A generated ConfigMap, from whole files and from `KEY=value` lines."""
    data = {Path(name).name: (directory / name).read_text() for name in entry.get("files", [])}
    for name in entry.get("envs", []):
        data |= dict(line.split("=", 1) for line in (directory / name).read_text().splitlines() if line)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": entry["name"]}, "data": data}


def secret(entry: dict) -> dict:
    """A generated Secret, from literals."""
    import base64

    pairs = dict(literal.split("=", 1) for literal in entry.get("literals", []))
    data = {key: base64.b64encode(value.encode()).decode() for key, value in pairs.items()}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": entry["name"]}, "data": data}


def add_labels(item: dict, rule: dict) -> None:
    """Adds labels to the object, and to its pods if the rule includes templates."""
    item["metadata"].setdefault("labels", {}).update(rule["pairs"])
    template = item.get("spec", {}).get("template")
    if rule.get("includeTemplates") and template:
        template["metadata"].setdefault("labels", {}).update(rule["pairs"])


def set_image(item: dict, image: dict) -> None:
    """Sets registry and tag of the containers that use this image."""
    for container in item.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
        if container["image"].split(":")[0] == image["name"]:
            container["image"] = f"{image.get('newName', image['name'])}:{image['newTag']}"


def apply_patch(objects: list[dict], entry: dict, directory: Path) -> list[dict]:
    """Applies a JSON patch (a list) or a strategic merge of maps (an object) to the selected objects."""
    patch = yaml.safe_load(entry["patch"] if "patch" in entry else (directory / entry["path"]).read_text())
    target = entry.get("target") or {"kind": patch["kind"], "name": patch["metadata"]["name"]}
    chosen = [
        item
        for item in objects
        if item["kind"] == target["kind"] and target.get("name", item["metadata"]["name"]) == item["metadata"]["name"]
    ]
    if not chosen:
        raise AssertionError(f"a patch in {directory} selects no object: {target}")
    if isinstance(patch, dict) and patch.get("$patch") == "delete":
        return [item for item in objects if item not in chosen]
    for item in chosen:
        if isinstance(patch, list):
            for operation in patch:
                json_patch(item, operation)
        else:
            name = item["metadata"]["name"]
            merge(item, copy.deepcopy(patch))
            item["metadata"]["name"] = name
    return objects


def json_patch(item: dict, operation: dict) -> None:
    """Applies `add` and `replace` (RFC 6902) to maps, with paths through maps and lists."""
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    for part in parents:
        item = item[int(part)] if isinstance(item, list) else item[part]
    if not isinstance(item, dict) or operation["op"] not in ("add", "replace"):
        raise AssertionError(f"this JSON patch is not implemented: {operation}")
    if operation["op"] == "replace" and last not in item:
        raise AssertionError(f"nothing to replace: {operation}")
    item[last] = operation["value"]


def merge(into: dict, patch: dict) -> None:
    """Merges maps. A list would need its merge key: use a JSON patch for lists."""
    for key, value in patch.items():
        if isinstance(value, dict):
            merge(into.setdefault(key, {}), value)
        elif isinstance(value, list):
            raise AssertionError(f"a strategic merge of the list `{key}` is not implemented: use a JSON patch")
        else:
            into[key] = value
