"""Writes aws.json: the schema of those AWS resources and data sources that terraform/ uses.

The published bindings of the provider for CDK Terraform know every argument of every type: its name, its type, whether
it is required, whether it is a nested block. That is what `terraform validate` asks a provider for, and nothing else.

    npm install --ignore-scripts --legacy-peer-deps --prefix /tmp/bindings @cdktn/provider-aws@24.1.0
    python3 xtask/tools/terraform/extract.py /tmp/bindings/node_modules/@cdktn/provider-aws

The bindings are Copyright (c) HashiCorp, Inc. and IBM Corp., under the Mozilla Public License 2.0, and so is aws.json.
"""

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
NOTICE = (
    "Extracted from @cdktn/provider-aws {version} (schema of hashicorp/aws {provider}), "
    "Copyright (c) HashiCorp, Inc. and IBM Corp., MPL-2.0: https://mozilla.org/MPL/2.0/"
)

# one entry of what a class or a nested structure writes as HCL; classes indent by 12, structures by 8
ENTRY = (
    r"^ {{{indent}}}(\w+): \{{\n\s+value: (.*?),\n\s+isBlock: (true|false),"
    r"\n\s+type: \"(\w+)\",\n\s+storageClassType: \"(\w+)\","
)
OF_CLASS = re.compile(ENTRY.format(indent=12), re.M | re.S)
OF_STRUCT = re.compile(ENTRY.format(indent=8), re.M | re.S)
STRUCT = re.compile(r"^function (\w+)ToHclTerraform\(struct\) \{\n(.*?)^\}", re.M | re.S)
INTERFACE = re.compile(r"^export interface (\w+)[^{]*\{\n(.*?)^\}", re.M | re.S)
PROPERTY = re.compile(r"/\*\*((?:(?!\*/).)*)\*/\s*readonly \w+(\??): ([^;{]+|\{[^}]*\})", re.S)
READ_ONLY = re.compile(r"this\.get(\w+?)Attribute\('(\w+)'\)")
READ_ONLY_OBJECTS = re.compile(r"new ([\w.]+)\(this, \"(\w+)\"")
USED = re.compile(r'^\s*(resource|data) "(aws_\w+)"', re.M)

SIMPLE = {"string": "string", "number": "number", "boolean": "bool"}
ELEMENTS = {
    "stringList": "string", "numberList": "number", "booleanList": "bool",
    "stringMap": "string", "numberMap": "number", "booleanMap": "bool", "stringListList": ["list", "string"],
}
GETTERS = {
    "String": "string", "Number": "number", "Boolean": "bool", "List": ["list", "string"],
    "NumberList": ["list", "number"], "StringMap": ["map", "string"], "BooleanMap": ["map", "bool"],
}

# the bindings leave open what contains itself; these are the statements that we write, as the provider documents them
STATEMENTS = {
    "rate_based_statement": {"limit": ("number", True), "aggregate_key_type": ("string", False)},
    "managed_rule_group_statement": {"vendor_name": ("string", True), "name": ("string", True)},
}


def attribute_type(kind, storage):
    if kind == "simple":
        return SIMPLE.get(storage, "dynamic")
    element = ELEMENTS.get(storage)
    return [kind, element] if element else "dynamic"


def given(kind, required):
    """An argument. What may be left out may also be filled in by the provider."""
    return {"type": kind, "required": True} if required else {"type": kind, "optional": True, "computed": True}


class Binding:
    """One resource, data source, or the provider: a JavaScript file and its declarations."""

    def __init__(self, folder):
        self.folder = folder
        self.code = (folder / "index.js").read_text()
        declared = (folder / "index.d.ts").read_text()
        self.structs = dict(STRUCT.findall(self.code))
        self.interfaces = {name: dict(properties(body)) for name, body in INTERFACE.findall(declared)}
        config = re.search(r"export interface (\w+Config) extends cdktn?f?\.Terraform", declared)
        self.config = config.group(1) if config else "AwsProviderConfig"

    def schema(self):
        body = re.search(r"^    synthesizeHclAttributes\(\) \{\n(.*?)^    \}", self.code, re.M | re.S)
        if body is None:
            raise SystemExit(f"{self.folder}: the bindings look different than they did; adapt this script")
        block = self.block(OF_CLASS.findall(body.group(1)), self.config)
        add_read_only(block, self.code[self.code.rfind("\nclass ", 0, body.start()) : body.start()])
        return block

    def block(self, entries, interface):
        attributes, blocks = {}, {}
        declared = self.interfaces.get(interface, {})
        for name, value, is_structure, kind, storage in entries:
            required, is_block, repeats = declared.get(name, (False, is_structure == "true", True))
            if is_structure == "false":
                attributes[name] = given(attribute_type(kind, storage), required)
                continue
            child = self.structure(value)
            if is_block:
                blocks[name] = nested(child, kind, required, repeats)
            else:
                fields = ["object", {field: of["type"] for field, of in child["attributes"].items()}]
                attributes[name] = given([kind, fields] if kind in ("list", "set") else fields, required)
        return {"attributes": attributes, "block_types": blocks}

    def structure(self, value):
        found = re.search(r"(\w+)ToHclTerraform", value)
        name = found.group(1) if found else ""
        if name not in self.structs:
            return {"attributes": {}, "block_types": {}}
        interface = name[0].upper() + name[1:]
        block = self.block(OF_STRUCT.findall(self.structs[name]), interface)
        reference = re.search(rf"^class {interface}OutputReference (.*?)^\}}", self.code, re.M | re.S)
        add_read_only(block, reference.group(1) if reference else "")
        return block


def add_read_only(block, written):
    """What the provider alone fills in, which a class can only get."""
    found = [(name, GETTERS.get(getter, "dynamic")) for getter, name in READ_ONLY.findall(written)]
    for made, name in READ_ONLY_OBJECTS.findall(written):
        found.append((name, ["map", "string"] if made.endswith(".StringMap") else "dynamic"))
    for name, kind in found:
        if name not in block["attributes"] and name not in block["block_types"]:
            block["attributes"][name] = {"type": kind, "computed": True}


def properties(body):
    for comment, optional, kind in PROPERTY.findall(body):
        block = re.search(r"\* (\w+) block\b", comment)
        name = re.search(r"#(\w+) ", comment) or block
        if name:
            yield name.group(1), (optional == "", bool(block), "[]" in kind)


def nested(child, kind, required, repeats):
    mode = {"struct": "single", "list": "list", "set": "set"}[kind]
    block = {"nesting_mode": mode, "block": child}
    if mode != "single" and required:
        block["min_items"] = 1
    if mode != "single" and not repeats:
        block["max_items"] = 1
    return block


def with_statements(schema):
    rule = schema["block_types"]["rule"]["block"]
    rule["attributes"].pop("statement")
    kinds = {}
    for name, arguments in STATEMENTS.items():
        attributes = {argument: given(*of) for argument, of in arguments.items()}
        kinds[name] = nested({"attributes": attributes, "block_types": {}}, "list", False, False)
    rule["block_types"]["statement"] = nested({"attributes": {}, "block_types": kinds}, "list", True, False)


def used_types():
    used = {"resource": set(), "data": set()}
    for file in (ROOT / "terraform").rglob("*.tf"):
        for kind, name in USED.findall(file.read_text()):
            used[kind].add(name)
    return used


def main(package):
    bindings = {}
    for folder in sorted((package / "lib").iterdir()):
        code = folder / "index.js"
        name = code.exists() and re.search(r"^\w+\.tfResourceType = \"(\w+)\"", code.read_text(), re.M)
        if name:
            kind = "data" if folder.name.startswith("data-aws-") else "resource"
            bindings[kind, name.group(1)] = folder
    provider = Binding(package / "lib/provider").schema()
    provider["attributes"].pop("alias", None)
    for attribute in provider["attributes"].values():
        attribute.pop("computed", None)
    used = used_types()
    unknown = [f"{kind} {name}" for kind in used for name in sorted(used[kind]) if (kind, name) not in bindings]
    if unknown:
        raise SystemExit("the provider has no " + ", ".join(unknown))
    schemas = {kind: {name: Binding(bindings[kind, name]).schema() for name in used[kind]} for kind in used}
    if "aws_wafv2_web_acl" in schemas["resource"]:
        with_statements(schemas["resource"]["aws_wafv2_web_acl"])
    documented = (package / "lib/provider/index.d.ts").read_text()
    release = re.search(r"hashicorp/aws/(\d+\.\d+\.\d+)/docs", documented).group(1)
    version = json.loads((package / "package.json").read_text())["version"]
    written = {
        "notice": NOTICE.format(version=version, provider=release),
        "version": release,
        "provider": provider,
        "resource": schemas["resource"],
        "data": schemas["data"],
    }
    (HERE / "aws.json").write_text(json.dumps(written, separators=(",", ":"), sort_keys=True) + "\n")
    print(f"hashicorp/aws {release}: {len(schemas['resource'])} resources, {len(schemas['data'])} data sources")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
