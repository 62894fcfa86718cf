#!/usr/bin/env bash
# Checks the Kubernetes manifests without a cluster: renders every overlay, validates the objects, checks the invariants.
# Needs python3 ≥ 3.11 with venv. Installs its tools into target/deploy-tools/k8s. With GATEWAY=path/to/gateway, it also
# runs `gateway check` on gateway.toml.
set -euo pipefail
if [[ -n ${GATEWAY:-} ]]; then GATEWAY=$(realpath "$GATEWAY"); export GATEWAY; fi
cd "$(dirname "$0")"

tools=../target/deploy-tools/k8s
wanted=$(sha256sum tests/requirements.txt | cut -d' ' -f1)
if [[ $(cat "$tools/installed" 2>/dev/null) != "$wanted" ]]; then
    echo "k8s: installing the test tools into target/deploy-tools/k8s"
    rm -rf "$tools"
    mkdir -p "$(dirname "$tools")"
    python3 -m venv "$tools" || { echo "k8s: python3 cannot create a venv; run: apt-get install python3-venv" >&2; exit 1; }
    "$tools/bin/pip" install --quiet --disable-pip-version-check -r tests/requirements.txt
    echo "$wanted" >"$tools/installed"
fi

"$tools/bin/python" -B -m pytest -p no:cacheprovider -q -rs tests "$@"
echo "k8s: every overlay renders, matches the schemas and satisfies the invariants"
