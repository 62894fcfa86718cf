"""The gateway itself accepts gateway.toml. Needs the built program: GATEWAY=target/debug/gateway k8s/test.sh"""

import os
import subprocess
from pathlib import Path

import pytest

CONFIG = Path(__file__).resolve().parent.parent / "base" / "gateway.toml"
GATEWAY = os.environ.get("GATEWAY")


def check(config: Path) -> subprocess.CompletedProcess:
    return subprocess.run([GATEWAY, "check", "--config", str(config)], capture_output=True, text=True, timeout=30)


@pytest.mark.skipif(GATEWAY is None, reason="the variable GATEWAY does not name a built gateway")
def test_gateway_check_accepts_the_file_and_refuses_a_typing_error(tmp_path):
    accepted = check(CONFIG)
    assert accepted.returncode == 0, accepted.stderr
    wrong = tmp_path / "gateway.toml"
    wrong.write_text(CONFIG.read_text().replace("hash_cookie", "hash_cooky"))
    refused = check(wrong)
    assert refused.returncode != 0
    assert "hash_cookie" in refused.stdout + refused.stderr
