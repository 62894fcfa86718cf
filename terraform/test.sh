#!/usr/bin/env bash
# Checks the Terraform configurations with the real Terraform and schemas, without a cloud or the provider registry.
# Needs python3 (3.11 to 3.13) with venv, and npm. Installs its tools into target/deploy-tools/terraform.
set -euo pipefail
cd "$(dirname "$0")"

tools=../target/deploy-tools/terraform
# The bindings of aws 6.66.0 and azurerm 4.73.0.
bindings=(@cdktn/provider-aws@25.7.0 @cdktn/provider-azurerm@16.1.0)

wanted=$(echo "${bindings[@]}" | cat - offline/requirements.txt offline/plugin.proto offline/schemas.py | sha256sum | cut -d' ' -f1)
if [[ $(cat "$tools/installed" 2>/dev/null) != "$wanted" ]]; then
    echo "terraform: installing the test tools into target/deploy-tools/terraform"
    rm -rf "$tools"
    mkdir -p "$tools/npm"
    python3 -m venv "$tools/venv" || { echo "terraform: python3 cannot create a venv; run: apt-get install python3-venv" >&2; exit 1; }
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r offline/requirements.txt
    "$tools/venv/bin/python" -m grpc_tools.protoc --proto_path=offline --python_out="$tools" --grpc_python_out="$tools" plugin.proto

    echo "terraform: extracting the provider schemas from ${bindings[*]}"
    # `pack` only downloads: the peer dependencies and scripts of the bindings are not needed.
    npm pack --silent --pack-destination "$tools/npm" "${bindings[@]}" >/dev/null
    for provider in aws azurerm; do
        mkdir "$tools/npm/$provider"
        tar --extract --gzip --file "$tools/npm/cdktn-provider-$provider-"*.tgz --directory "$tools/npm/$provider" --strip-components 1
        "$tools/venv/bin/python" -B offline/schemas.py "$tools/npm/$provider" "$tools/$provider.json"
    done
    rm -r "$tools/npm"
    echo "$wanted" >"$tools/installed"
fi

PYTHONPATH=$tools "$tools/venv/bin/python" -B offline/check.py "$tools"
