"""Writes dashboard.json: the JSON Schema of a dashboard, from the types that Grafana publishes and dashboard.ts.

    npm install --ignore-scripts --prefix /tmp/grafana \\
      @grafana/schema@12.1.1 ts-json-schema-generator@2.4.0 typescript@5.8.3
    python3 xtask/tools/grafana/extract.py /tmp/grafana

@grafana/schema is Copyright Grafana Labs, under the Apache License 2.0, and so is what comes from it in dashboard.json.
Changed against it: kinds of panels are told apart and closed, texts that explain are left out.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
NOTICE = (
    "Made by extract.py from dashboard.ts and @grafana/schema {version}, Copyright Grafana Labs, "
    "Apache-2.0: https://www.apache.org/licenses/LICENSE-2.0. Changed: panels are told apart by kind and closed; "
    "descriptions are left out."
)


def without_prose(schema):
    """What remains when nobody is to read it."""
    if isinstance(schema, dict):
        # a property may be called `description`; then it is a schema, not a text
        return {
            key: without_prose(value)
            for key, value in schema.items()
            if not (key == "description" and isinstance(value, str))
        }
    if isinstance(schema, list):
        return [without_prose(item) for item in schema]
    return schema


def overridable(defaults):
    """What an override of one kind of panel may set: what its defaults may, custom fields by `custom.`."""
    fields = {name: schema for name, schema in defaults["properties"].items() if name != "custom"}
    custom = defaults["properties"]["custom"].get("properties", {})
    fields.update({f"custom.{name}": schema for name, schema in custom.items()})
    return {
        "type": "object",
        "required": ["id", "value"],
        "additionalProperties": False,
        "properties": {"id": {"enum": sorted(fields)}, "value": True},
        "allOf": [
            {"if": {"properties": {"id": {"const": name}}}, "then": {"properties": {"value": schema}}}
            for name, schema in sorted(fields.items())
        ],
    }


def main(folder):
    version = json.loads((folder / "node_modules/@grafana/schema/package.json").read_text())["version"]
    # imports are resolved from where the file lies
    shutil.copy(HERE / "dashboard.ts", folder)
    generator = folder / "node_modules/.bin/ts-json-schema-generator"
    # every plugin calls its types `Options` and `FieldConfig`: no name may be exposed
    options = ["--type", "Dashboard", "--expose", "none", "--no-type-check"]
    run = subprocess.run(
        [generator, "--path", "dashboard.ts", *options], cwd=folder, check=True, stdout=subprocess.PIPE
    )
    made = json.loads(run.stdout)
    schema = without_prose(made["definitions"]["Dashboard"])
    for kind in schema["properties"]["panels"]["items"]["allOf"]:
        config = kind["then"]["properties"].get("fieldConfig")
        if config:
            properties = config["properties"]["overrides"]["items"]["properties"]["properties"]
            properties["items"] = overridable(config["properties"]["defaults"])
    head = {
        "$schema": made["$schema"],
        "$comment": NOTICE.format(version=version),
        "title": "Grafana dashboard",
        "x-grafana": version,
    }
    (HERE / "dashboard.json").write_text(json.dumps({**head, **schema}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
