"""Schemathesis reads the OpenAPI page, and sends requests that it allows and requests that it forbids."""

import shutil
import subprocess
import sys
from pathlib import Path

COMMAND = Path(sys.executable).with_name("schemathesis")


def test_the_server_conforms_to_its_openapi_page(server, tmp_path):
    """Answers have the documented status and schema; documented requests are accepted, and all others are refused."""
    run = subprocess.run(
        [
            shutil.which(COMMAND) or shutil.which("schemathesis"),
            "run",
            f"{server.url}/openapi.json",
            "--max-examples=20",
            "--seed=1",
            "--checks=all",
            "--max-failures=3",
            "--no-color",
        ],
        cwd=tmp_path,  # schemathesis writes files into it
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout[:3000] + run.stderr[-2000:]
    assert "5 selected / 5 total" in run.stdout
    assert server.metric('serving_requests_total{path="/score",status="200"}') > 20
    assert server.metric('serving_requests_total{path="/rank",status="422"}') > 20
    assert 'status="500"' not in server.get("/metrics").text
    assert "Traceback" not in server.log()
