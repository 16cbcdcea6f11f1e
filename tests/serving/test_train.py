"""What `make serve` does: train, export, serve; and the command that it prints."""

import json
import os
import re
import subprocess
import sys

from tests.serving.process import EXAMPLES


def test_the_row_of_the_printed_command_is_scored(start, tmp_path):
    path = tmp_path / "new" / "model.onnx"
    run = subprocess.run(
        [sys.executable, "-m", "serving.train", path, "--samples=1200"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(EXAMPLES), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    body = json.loads(re.search(r"-d '(.+)'", run.stdout)[1])
    server = start(path)
    answer = server.post("/score", body)
    assert answer.status_code == 200, answer.text
    row = answer.json()["rows"][0]
    assert 0 < row["probabilities"]["conversion"] < row["probabilities"]["click"] < 1
    assert row["values"]["watch_seconds"] > 0
    assert "position" not in body["rows"][0]


def test_the_server_needs_what_the_image_installs():
    """The list of the Dockerfile is that of the extra `serve`, and numpy."""
    project = (EXAMPLES.parent / "pyproject.toml").read_text()
    extra = re.search(r"^serve = \[(.+)\]$", project, flags=re.MULTILINE)[1]
    image = re.search(
        r"^RUN pip install --no-cache-dir (.+)$", (EXAMPLES / "serving" / "Dockerfile").read_text(), re.M
    )[1]
    assert set(re.findall(r'"(.+?)"', image)) == {"numpy>=2", *re.findall(r'"(.+?)"', extra)}
