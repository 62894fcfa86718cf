"""The gateway accepts gateway.toml. Needs a built gateway: GATEWAY=target/debug/gateway k8s/test.sh"""

import os
import subprocess
from pathlib import Path

import pytest

CONFIG = (Path(__file__).resolve().parent.parent / "base" / "gateway.toml").read_text()
GATEWAY = os.environ.get("GATEWAY")

pytestmark = pytest.mark.skipif(GATEWAY is None, reason="the variable GATEWAY is not set to a built gateway")


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> Path:
    """The files of the Secret gateway-tls: `gateway check` reads certificates too."""
    directory = tmp_path_factory.mktemp("tls")
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=chat.example.org"
    names = ["-addext", "subjectAltName=DNS:chat.example.org", "-keyout", "tls.key", "-out", "tls.crt"]
    subprocess.run([*make.split(), *names], cwd=directory, check=True, capture_output=True, timeout=30)
    return directory


def check(text: str, tls: Path) -> subprocess.CompletedProcess:
    config = tls / "gateway.toml"
    config.write_text(text.replace("/etc/gatehouse-tls", str(tls)))
    return subprocess.run([GATEWAY, "check", "--config", str(config)], capture_output=True, text=True, timeout=30)


def test_gateway_check_accepts_the_file(tls):
    accepted = check(CONFIG, tls)
    assert accepted.returncode == 0, accepted.stderr
    assert "chat.example.org" in accepted.stdout


def test_gateway_check_rejects_a_typo(tls):
    refused = check(CONFIG.replace("hash_cookie", "hash_cooky"), tls)
    assert refused.returncode != 0
    assert "hash_cookie" in refused.stderr
