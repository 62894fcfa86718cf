"""Extracts provider schemas from the npm bindings @cdktn/provider-*: their source maps contain the generated TypeScript.

For every attribute of a resource, the TypeScript contains whether it is required, optional or computed (in comments
above each property) and its form in HCL (in `synthesizeHclAttributes` and the `…ToHclTerraform` functions).

    python schemas.py PACKAGE_DIRECTORY OUTPUT.json
"""

import base64
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

TOP_CLASSES = {"TerraformResource": "resources", "TerraformDataSource": "data", "TerraformProvider": "provider"}
NESTING = {"list": "LIST", "set": "SET", "struct": "SINGLE", "map": "MAP"}
ELEMENTS = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
# Types of computed attributes, by the method that reads them.
GETTERS = {
    "getStringAttribute": "string",
    "getNumberAttribute": "number",
    "getBooleanAttribute": "bool",
    "getListAttribute": ["list", "string"],
    "getNumberListAttribute": ["list", "number"],
    "getStringMapAttribute": ["map", "string"],
    "getNumberMapAttribute": ["map", "number"],
    "getBooleanMapAttribute": ["map", "bool"],
    "getAnyMapAttribute": ["map", "dynamic"],
}

CLASS = re.compile(r"^export class (\w+) extends cdkt[fn]\.(\w+)[^\n]*\{\n(.*?)^\}", re.M | re.S)
FUNCTION = re.compile(r"^export function (\w+)ToHclTerraform\([^\n]*\n(.*?)^\}", re.M | re.S)
HCL_ENTRY = re.compile(
    r"^\s+(\w+): \{\s*\n\s+value: (.*)\n\s+isBlock: (true|false),"
    r'\s*\n\s+type: "(\w+)",\s*\n\s+storageClassType: "(\w+)"',
    re.M,
)
PROPERTY = re.compile(
    r"// (\w+) - computed: (true|false), optional: (true|false), required: (true|false)\n"
    r"(.*?)(?=\n\s*// \w+ - computed:|\n\s*// =====|\Z)",
    re.S,
)


@dataclass(frozen=True)
class HclEntry:
    """An attribute or block as written in HCL."""

    value: str
    is_block: bool
    type: str
    storage: str

    def attribute_type(self):
        if self.storage in ELEMENTS:
            return ELEMENTS[self.storage]
        if self.storage.endswith("ListList"):
            return ["list", ["list", "string"]]
        for suffix, kind in (("List", self.type if self.type in ("list", "set") else "list"), ("Map", "map")):
            element = ELEMENTS.get(self.storage.removesuffix(suffix))
            if self.storage.endswith(suffix) and element:
                return [kind, element]
        return "dynamic"


class Unreadable(Exception):
    """A binding that is spread over several files: only a few resources, none of them used here."""


class Bindings:
    """The TypeScript of one resource, data source or provider."""

    def __init__(self, javascript: str):
        source_map = json.loads(base64.b64decode(javascript.rsplit("base64,", 1)[1]))
        source = source_map["sourcesContent"][0]
        self.classes = {m[1]: (m[2], m[3]) for m in CLASS.finditer(source)}
        self.functions = {m[1].lower(): m[2] for m in FUNCTION.finditer(source)}
        self.name_by_lower = {name.lower(): name for name in self.classes}
        self.terraform_type = (re.search(r'tfResourceType = "([^"]+)"', javascript) or [None, None])[1]
        tops = [(name, TOP_CLASSES[base]) for name, (base, _) in self.classes.items() if base in TOP_CLASSES]
        if not tops:
            raise Unreadable("its class is declared in another file")
        self.top, self.kind = tops[0]

    def top_block(self) -> dict:
        return self.block_of_class(self.top)

    def block_of_class(self, name: str) -> dict:
        """A block whose class declares what is required, optional and computed."""
        if name not in self.classes:
            raise Unreadable(f"{name} is declared in another file")
        base, body = self.classes[name]
        if base in TOP_CLASSES:
            hcl = hcl_entries(body.split("synthesizeHclAttributes")[1])
        else:
            hcl = self.hcl_of_function(name.removesuffix("OutputReference"))
        attributes, blocks = [], []
        for found in PROPERTY.finditer(body):
            attribute, computed, optional, required = found[1], *(found[i] == "true" for i in (2, 3, 4))
            entry, code = hcl.get(attribute), found[5]
            nested = re.search(
                rf'= new (\w+?)(OutputReference|List|Map)\(this, "{attribute}"(?:, (true|false))?\)', code
            )
            if entry and entry.is_block and computed and entry.type in ("list", "set"):
                # Blocks are never computed: this is an attribute that can be written as blocks.
                kind = [entry.type, object_of(self.nested_block(entry, nested)[0])]
                attributes.append(attribute_type(attribute, kind, computed, optional, required))
            elif entry and entry.is_block:
                inner, single = self.nested_block(entry, nested)
                blocks.append(block_type(attribute, entry, inner, required, single))
            else:
                kind = self.object_type(nested) if nested else entry.attribute_type() if entry else getter_type(code)
                attributes.append(attribute_type(attribute, kind, computed, optional, required))
        known = {item["name"] for item in attributes + blocks}
        # Provider classes have no comments: all other arguments are optional.
        for attribute, entry in hcl.items():
            if attribute not in known:
                self.add_optional(attribute, entry, attributes, blocks)
        return {"attributes": attributes, "blocks": blocks}

    def block_of_function(self, name: str) -> dict:
        """A block without its own class: only its syntax is known, so everything is optional."""
        attributes, blocks = [], []
        for attribute, entry in self.hcl_of_function(name).items():
            self.add_optional(attribute, entry, attributes, blocks)
        return {"attributes": attributes, "blocks": blocks}

    def add_optional(self, name: str, entry: HclEntry, attributes: list, blocks: list) -> None:
        if entry.is_block:
            blocks.append(block_type(name, entry, self.block_of_value(entry), required=False, single=False))
        else:
            attributes.append(
                attribute_type(name, entry.attribute_type(), computed=False, optional=True, required=False)
            )

    def nested_block(self, entry: HclEntry, nested: re.Match | None) -> tuple[dict, bool]:
        """The content of a block, and whether at most one is allowed."""
        if nested is None:
            return self.block_of_value(entry), False
        return self.block_of_class(nested[1] + "OutputReference"), nested[
            2
        ] == "OutputReference" and entry.type != "struct"

    def block_of_value(self, entry: HclEntry) -> dict:
        function = re.search(r"(\w+)ToHclTerraform", entry.value)[1]
        name = self.name_by_lower.get(f"{function}OutputReference".lower())
        return self.block_of_class(name) if name else self.block_of_function(function)

    def object_type(self, nested: re.Match):
        """The type of a computed object, or list, set or map of objects."""
        name = nested[1] + "OutputReference"
        if name not in self.classes:
            return "dynamic"
        fields = object_of(self.block_of_class(name))
        wrapper = {"List": "set" if nested[3] == "true" else "list", "Map": "map"}.get(nested[2])
        kind = [wrapper, fields] if wrapper else fields
        return "dynamic" if "dynamic" in json.dumps(kind) else kind

    def hcl_of_function(self, name: str) -> dict[str, HclEntry]:
        return hcl_entries(self.functions.get(name.lower(), ""))


def hcl_entries(body: str) -> dict[str, HclEntry]:
    return {m[1]: HclEntry(m[2], m[3] == "true", m[4], m[5]) for m in HCL_ENTRY.finditer(body)}


def object_of(block: dict) -> list:
    """The type of an object with the attributes and blocks of a block."""
    fields = {item["name"]: item["type"] for item in block["attributes"]}
    for item in block["blocks"]:
        inner = object_of(item["block"])
        fields[item["name"]] = inner if item["nesting"] == "SINGLE" else [item["nesting"].lower(), inner]
    return ["object", fields]


def getter_type(code: str):
    getter = re.search(r"this\.(get\w+Attribute)\(", code)
    kind = GETTERS.get(getter[1], "dynamic") if getter else "dynamic"
    return ["set", kind[1]] if "Fn.tolist(" in code and isinstance(kind, list) else kind


def attribute_type(name, kind, computed, optional, required) -> dict:
    return {"name": name, "type": kind, "computed": computed, "optional": optional, "required": required}


def block_type(name: str, entry: HclEntry, inner: dict, required: bool, single: bool) -> dict:
    return {"name": name, "nesting": NESTING[entry.type], "block": inner, "min": int(required), "max": int(single)}


def extract(package: Path) -> dict:
    """All resources and data sources of a package, and the provider itself, without ephemeral resources.

    A resource that cannot be read is skipped and listed: a configuration that uses it fails as unknown.
    """
    schema = {"provider": None, "resources": {}, "data": {}}
    for javascript in sorted(package.glob("lib/*/index.js")):
        if javascript.parent.name.startswith("ephemeral-"):
            continue
        try:
            bindings = Bindings(javascript.read_text())
            block = bindings.top_block()
        except Unreadable as problem:
            print(f"skipped {javascript.parent.name}: {problem}")
            continue
        if bindings.kind == "provider":
            schema["provider"] = block
        else:
            schema[bindings.kind][bindings.terraform_type] = block
    return schema


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    found = extract(source)
    target.write_text(json.dumps(found))
    print(f"{source.name}: {len(found['resources'])} resources, {len(found['data'])} data sources")
