"""Writes addon-charts.json: facts about the charts of k8s/cluster/addons.json, each at the tag of its version.

    addon_charts.py CLONES

CLONES holds a clone of each repository with its tags: `git clone --bare --filter=blob:none https://github.com/OWNER/NAME
CLONES/OWNER+NAME/repo`. Kept are the program that a chart brings, and the keys that its values may have beside ours: names,
and no text of the charts. Needs PyYAML.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
CLUSTER = HERE.parents[2] / "k8s" / "cluster"

# repository, tag of a version, folder of the chart
SOURCES = {
    "argo-cd": ("argoproj/argo-helm", "argo-cd-{}", "charts/argo-cd"),
    "argo-rollouts": ("argoproj/argo-helm", "argo-rollouts-{}", "charts/argo-rollouts"),
    "cert-manager": ("cert-manager/cert-manager", "{}", "deploy/charts/cert-manager"),
    "cluster-autoscaler": (
        "kubernetes/autoscaler",
        "cluster-autoscaler-chart-{}",
        "cluster-autoscaler/charts/cluster-autoscaler",
    ),
    "external-dns": ("kubernetes-sigs/external-dns", "external-dns-helm-chart-{}", "charts/external-dns"),
    "external-secrets": ("external-secrets/external-secrets", "helm-chart-{}", "deploy/charts/external-secrets"),
    "flagger": ("fluxcd/flagger", "v{}", "charts/flagger"),
    "fluent-bit": ("fluent/helm-charts", "fluent-bit-{}", "charts/fluent-bit"),
    "gateway-helm": ("envoyproxy/gateway", "{}", "charts/gateway-helm"),
    "kube-prometheus-stack": (
        "prometheus-community/helm-charts",
        "kube-prometheus-stack-{}",
        "charts/kube-prometheus-stack",
    ),
    "kyverno": ("kyverno/kyverno", "kyverno-chart-{}", "charts/kyverno"),
    "prometheus-adapter": ("prometheus-community/helm-charts", "prometheus-adapter-{}", "charts/prometheus-adapter"),
}

# mappings whose keys the user chooses, although the chart has a default in them
OPEN = {("cluster-autoscaler", "extraArgs")}


def shown(clone: Path, tag: str, file: str) -> str | None:
    found = subprocess.run(["git", "--git-dir", clone, "show", f"{tag}:{file}"], capture_output=True, text=True)
    return found.stdout if found.returncode == 0 else None


def keys(chart: str, ours: dict, theirs: dict, above: str, templates: str, found: dict) -> None:
    """The keys of every mapping that our values open. A mapping without keys in the chart takes any."""
    if not theirs or (chart, above) in OPEN:
        return
    below = [(name, f"{above}.{name}".lstrip("."), value) for name, value in ours.items()]
    # some keys have no default, and a template reads them
    read = [name for name, path, _ in below if re.search(rf"\.Values\.{re.escape(path)}\b", templates)]
    found[above] = sorted({*theirs, *read})
    for name, path, value in below:
        if isinstance(value, dict) and isinstance(theirs.get(name), dict):
            keys(chart, value, theirs[name], path, templates, found)


def main(clones: Path) -> None:
    charts = {}
    for addon in json.loads((CLUSTER / "addons.json").read_text(encoding="utf-8"))["addons"]:
        if "chart" not in addon:
            continue
        name, version = addon["chart"].split()
        repository, tag, folder = SOURCES[name]
        tag, clone = tag.format(version), clones / repository.replace("/", "+") / "repo"
        about = shown(clone, tag, f"{folder}/Chart.yaml")
        # some charts get both versions when they are packaged: those of the tag
        program = re.search(r"^appVersion: *[\"']?v?([0-9][^\"'\s]*)", about or "", re.M)
        fact = {
            "version": version,
            "program": program[1] if program else version.removeprefix("v"),
            "source": f"https://github.com/{repository}/tree/{tag}/{folder}",
        }
        if "values" in addon:
            ours = yaml.safe_load((CLUSTER / "values" / f"{addon['values']}.yaml").read_text(encoding="utf-8"))
            theirs = yaml.safe_load(shown(clone, tag, f"{folder}/values.yaml"))
            lines = ["git", "--git-dir", clone, "grep", "--no-color", "-h", r"\.Values", tag, "--", f"{folder}/templates"]
            templates = subprocess.run(lines, capture_output=True, text=True, check=True).stdout
            fact["keys"] = {}
            keys(name, ours, theirs, "", templates, fact["keys"])
        charts[name] = fact
    text = json.dumps({"charts": charts}, indent=1, ensure_ascii=False)
    # a list on one line
    text = re.sub(r"\[\s+([^\[\]]*?)\s+\]", lambda found: "[" + re.sub(r"\s+", " ", found[1]) + "]", text)
    (HERE / "addon-charts.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
