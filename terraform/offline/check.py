"""Runs the real `terraform fmt`, `validate` and `test` on every root module, with real provider schemas and no registry.

python check.py CACHE_DIRECTORY        (test.sh prepares the cache and calls this)
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import provider

TERRAFORM = Path(__file__).resolve().parent.parent
OFFLINE = TERRAFORM / "offline"
ROOTS = ["modules/plan", "aws/bootstrap", "aws", "azure/bootstrap", "azure"]
TIMEOUT_SECONDS = 180


class Terraform:
    """The terraform command, with providers served by this process and data kept out of the source tree."""

    def __init__(self, cache: Path, reattach: str):
        self.cache = cache
        self.environment = os.environ | {
            "TF_REATTACH_PROVIDERS": reattach,
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            "TF_CLI_CONFIG_FILE": os.devnull,
        }

    def run(self, directory: Path, *arguments: str) -> subprocess.CompletedProcess:
        data = self.cache / "data" / str(directory).strip("/").replace("/", "-")
        return subprocess.run(
            [sys.executable, str(OFFLINE / "terraform.py"), *arguments],
            cwd=directory,
            env=self.environment | {"TF_DATA_DIR": str(data)},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )


def check_root(terraform: Terraform, root: str) -> bool:
    """Initialises, validates and tests one root module; prints one line, or the output of a failed step."""
    directory = TERRAFORM / root
    steps = [["init", "-backend=false", "-input=false", "-no-color"], ["validate", "-no-color"]]
    if (directory / "tests").is_dir():
        steps.append(["test", "-no-color"])
    summary = ""
    for step in steps:
        done = terraform.run(directory, *step)
        if done.returncode != 0 or "Warning:" in done.stdout:
            print(f"FAIL  {root}: terraform {step[0]}\n{done.stdout}{done.stderr}")
            return False
        summary = done.stdout.strip().splitlines()[-1]
    print(f"ok    {root}: {summary}")
    return True


def check_format(terraform: Terraform) -> bool:
    done = terraform.run(TERRAFORM, "fmt", "-check", "-recursive", "-diff", "-no-color")
    print(
        "ok    formatting"
        if done.returncode == 0
        else f"FAIL  formatting: run `terraform fmt -recursive`\n{done.stdout}{done.stderr}"
    )
    return done.returncode == 0


def check_that_faults_are_found(terraform: Terraform, cloud: str) -> bool:
    """Tests the check itself: each `# expect:` text of a faulty configuration must be among the errors."""
    faulty = (OFFLINE / "faults" / f"{cloud}.tf").read_text()
    expected = [line.partition("# expect:")[2].strip() for line in faulty.splitlines() if "# expect:" in line]
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "main.tf").write_text(faulty)
        terraform.run(Path(directory), "init", "-backend=false", "-input=false")
        report = json.loads(terraform.run(Path(directory), "validate", "-json").stdout)
    said = [f"{entry['summary']}: {entry['detail']}" for entry in report["diagnostics"]]
    missed = [want for want in expected if not any(want in text for text in said)]
    if missed or not expected or len(said) != len(expected):
        print(f"FAIL  faults/{cloud}.tf: not found: {missed}; found: {said}")
        return False
    print(f"ok    faults/{cloud}.tf: all {len(expected)} faults found")
    return True


def main(cache: Path) -> int:
    reattach, servers = provider.serve(
        {
            "registry.terraform.io/hashicorp/aws": cache / "aws.json",
            "registry.terraform.io/hashicorp/azurerm": cache / "azurerm.json",
        }
    )
    terraform = Terraform(cache, reattach)
    results = [check_format(terraform)]
    results += [check_root(terraform, root) for root in ROOTS]
    results += [check_that_faults_are_found(terraform, cloud) for cloud in ("aws", "azure")]
    for server in servers:
        server.stop(grace=None)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
