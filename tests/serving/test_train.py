"""The steps of `make serve`: train, export, serve, and score the suggested row."""

import ast
import re
import runpy
import sys

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


def test_the_image_installs_the_packages_of_the_extra_serve():
    """The Dockerfile installs the packages of the extra `serve`, and numpy."""
    project = (EXAMPLES.parent / "pyproject.toml").read_text()
    extra = re.search(r"^serve = \[(.+)\]$", project, flags=re.MULTILINE)[1]
    recipe = (EXAMPLES / "serving" / "Dockerfile").read_text()
    image = re.search(r"^RUN pip install --no-cache-dir (.+)$", recipe, flags=re.MULTILINE)[1]
    assert set(re.findall(r'"(.+?)"', image)) == {"numpy>=2", *re.findall(r'"(.+?)"', extra)}


def test_the_image_has_the_packages_that_the_server_imports():
    """The server imports neither torch nor this library; only `train.py` does, and it does not run in the image."""
    installed = {"numpy", "onnxruntime", "fastapi", "uvicorn", "prometheus_client"}
    installed |= {"starlette", "anyio"}  # dependencies of fastapi
    for path in (EXAMPLES / "serving").glob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
        foreign = {name.split(".")[0] for name in names} - sys.stdlib_module_names - installed - {"serving"}
        assert foreign == ({"sklearn_fsmd"} if path.name == "train.py" else set()), path.name


def test_docker_waits_until_the_server_has_stopped():
    """`docker stop` waits longer than the server takes to stop."""
    settings = runpy.run_path(str(EXAMPLES / "serving" / "settings.py"))["Settings"]
    recipe = (EXAMPLES / "serving" / "Dockerfile").read_text()
    stop_timeout = int(re.search(r"--stop-timeout (\d+)", recipe)[1])
    assert stop_timeout > settings.drain_seconds + settings.stop_seconds
