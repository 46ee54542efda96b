#!/usr/bin/env bash
# render.sh: renders the chart lookout/ into the components that use it; a check fails when one of them is stale. The engine
# of helm is that of the checks (`cargo nextest run -p conformance helm` installs it).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly python=${CHECKERS:-target/checkers/checks}/bin/python
render() {
  {
    echo "# Rendered from k8s/lookout and $1 by k8s/render.sh. Do not edit."
    "$python" xtask/tools/render_chart.py --yaml k8s/lookout lookout titanic "$1"
  } >"$2.new"
  mv "$2.new" "$2"
}
render k8s/components/standalone-agent/values.yaml k8s/components/standalone-agent/agent.yaml
mkdir -p k8s/components/sidecar/agent
render k8s/components/sidecar/values.yaml k8s/components/sidecar/agent/kustomization.yaml
