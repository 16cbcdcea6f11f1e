"""Optional packages are imported where they are used, and an error names the extra that contains them."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from release.without_extras import USES, error_message, fitted

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOT_FOR_USERS = {"dev", "docs"}
EXTRAS = {
    extra: [re.split(r"[\[<>=]", requirement)[0].replace("-", "_") for requirement in packages]
    for extra, packages in PROJECT["optional-dependencies"].items()
    if extra not in NOT_FOR_USERS
}
"""The packages of each extra, by the names that are imported."""


@pytest.fixture(scope="module")
def data():
    return fitted()


def test_every_extra_is_tested():
    assert set(EXTRAS) == {*USES, "serve"}


@pytest.mark.parametrize("extra", USES)
def test_the_error_without_an_extra_tells_how_to_install_it(extra, data, monkeypatch):
    for name in list(sys.modules):
        if name.split(".")[0] in EXTRAS[extra]:
            monkeypatch.setitem(sys.modules, name, None)
        elif name.startswith("sklearn_fsmd.export."):
            monkeypatch.delitem(sys.modules, name)  # its modules import onnx only once
    for name in EXTRAS[extra]:
        monkeypatch.setitem(sys.modules, name, None)
    assert "pip install" in error_message(extra, data)


BLOCKED = """
import sys
from importlib.machinery import PathFinder

folder, *blocked = sys.argv[1:]
sys.path.insert(0, folder)

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in blocked else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
"""
WITHOUT_ANY = f"""{BLOCKED}
import importlib, pkgutil
import sklearn_fsmd
for module in pkgutil.iter_modules(sklearn_fsmd.__path__, "sklearn_fsmd."):
    importlib.import_module(module.name)
from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
X, Y = make_funnel(300, random_state=0, return_X_y=True)
print(FSMDClassifier(max_epochs=1).fit(X, Y).predict_marginals(X).shape)
"""
SERVE = f"{BLOCKED}import runpy\nrunpy.run_module('serving', run_name='__main__')"


def run_python(code, folder, *blocked):
    return subprocess.run([sys.executable, "-c", code, folder, *blocked], capture_output=True, text=True)


def test_the_library_needs_no_optional_package():
    """Every public module can be imported, and a model be trained, without any optional package."""
    completed = run_python(WITHOUT_ANY, ROOT, *{name for packages in EXTRAS.values() for name in packages})
    assert completed.stdout == "(300, 2)\n", completed.stderr


@pytest.mark.parametrize("package", ["fastapi", "onnxruntime", "prometheus_client", "uvicorn"])
def test_the_server_names_the_packages_that_it_needs(package):
    completed = run_python(SERVE, EXAMPLES, package)
    assert completed.returncode == 1
    assert package in completed.stderr
    assert completed.stderr.endswith("pip install numpy onnxruntime fastapi uvicorn prometheus-client.\n")
    assert "Traceback" not in completed.stderr
