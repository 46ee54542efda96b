"""Renders a chart with the engine of Helm 4, checks its values against its schema, and lints it.

    render_chart.py [--yaml] CHART RELEASE NAMESPACE [VALUES...]

Prints the objects that an installation would have as one JSON array, or as YAML documents; hooks, tests among them, are
marked by their annotations. Complaints go to stderr, and the exit code is 1.
"""

import json
import sys
from pathlib import Path

import helm_python as helm
import yaml


WARNING = 2


def main(chart_folder: str, release: str, namespace: str, files: list[str], as_yaml: bool) -> int:
    values: dict = {}
    for file in files:
        values = merged(values, yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {})
    said = helm.lint(chart_folder, values)
    messages = [message for message in said.get("messages", []) if severe(message)]
    for message in messages:
        print(f"lint: {message['path']}: {message['error']}", file=sys.stderr)
    with helm.Chart.load(chart_folder) as chart:
        chart.validate_schema(chart.merge_values(values))
        rendered = chart.render(values, name=release, namespace=namespace, is_install=True)
    # a lone `=` is a text in YAML 1.2, which Helm writes
    yaml.SafeLoader.add_constructor("tag:yaml.org,2002:value", yaml.SafeLoader.construct_yaml_str)
    objects = []
    for path, text in sorted(rendered.items()):
        if path.endswith(".yaml"):
            objects.extend(found for found in yaml.safe_load_all(text) if found)
    if as_yaml:
        yaml.add_representer(str, block, Dumper=yaml.SafeDumper)
        yaml.safe_dump_all(objects, sys.stdout, sort_keys=False, width=120)
    else:
        json.dump(objects, sys.stdout)
    return 1 if messages else 0


def block(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    """Lines as lines, so that a diff shows what changed."""
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def severe(message: dict) -> bool:
    """Warnings count; what Helm merely recommends (an icon, say) does not."""
    return message["severity"] >= WARNING


def merged(under: dict, over: dict) -> dict:
    """As Helm does it: maps are joined, anything else is replaced."""
    result = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


if __name__ == "__main__":
    try:
        words = [word for word in sys.argv[1:] if word != "--yaml"]
        sys.exit(main(words[0], words[1], words[2], words[3:], "--yaml" in sys.argv))
    except helm.HelmError as error:
        print(f"helm: {error}", file=sys.stderr)
        sys.exit(1)
