"""Run the tests of the compiled core with the libraries of another folder (``make sanitize``)."""

import sys

import pytest

import sklearn_fsmd.execution
from sklearn_fsmd.execution import core

TESTS = [f"tests/execution/test_{name}.py" for name in ("core", "stack", "first_layer")]

if __name__ == "__main__":
    folder = sys.argv[1]
    sklearn_fsmd.execution.__path__.insert(0, folder)
    assert str(core.find("core_any.so")).startswith(folder)
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *TESTS]))
