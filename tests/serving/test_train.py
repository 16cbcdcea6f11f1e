"""What `make serve` does: train, export, serve; and the row that it suggests."""

import re
import runpy

from tests.serving.process import EXAMPLES


def test_the_suggested_row_is_scored(start, tmp_path):
    path = tmp_path / "new" / "model.onnx"
    row = runpy.run_path(str(EXAMPLES / "serving" / "train.py"))["main"](path, n_samples=1200)
    answer = start(path).post("/score", {"rows": [row]})
    assert answer.status_code == 200, answer.text
    scores = answer.json()["rows"][0]
    assert 0 < scores["probabilities"]["conversion"] < scores["probabilities"]["click"] < 1
    assert scores["values"]["watch_seconds"] > 0
    assert "position" not in row


def test_the_server_needs_what_the_image_installs():
    """The list of the Dockerfile is that of the extra `serve`, and numpy."""
    project = (EXAMPLES.parent / "pyproject.toml").read_text()
    extra = re.search(r"^serve = \[(.+)\]$", project, flags=re.MULTILINE)[1]
    recipe = (EXAMPLES / "serving" / "Dockerfile").read_text()
    image = re.search(r"^RUN pip install --no-cache-dir (.+)$", recipe, flags=re.MULTILINE)[1]
    assert set(re.findall(r'"(.+?)"', image)) == {"numpy>=2", *re.findall(r'"(.+?)"', extra)}
