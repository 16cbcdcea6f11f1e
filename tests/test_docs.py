"""The documentation names existing code, and its examples run."""

import re
from pathlib import Path

import pytest

from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier
from tests.conftest import make_frame

ROOT = Path(__file__).parent.parent
EQUATIONS = re.findall(r"\| `([\w/.]+):(\d+)` \| `(.+?)` \|", (ROOT / "docs" / "paper.md").read_text())


def test_the_table_of_equations_is_found():
    assert len(EQUATIONS) >= 14


@pytest.mark.parametrize(("path", "line", "code"), EQUATIONS)
def test_an_equation_is_at_the_line_in_the_docs(path, line, code):
    assert code.replace("\\|", "|") in (ROOT / path).read_text().splitlines()[int(line) - 1]


def test_the_parameters_in_the_docs_exist():
    text = (ROOT / "docs" / "paper.md").read_text()
    table = text[text.index("## Parameters") : text.index("## What is damaged")]
    named = set(re.findall(r"`(\w+)`", table))
    assert named <= set(MultiTaskClassifier().get_params())
    assert len(named) > 15


BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


def test_the_blocks_of_the_readme_are_found():
    assert len(BLOCKS) == 8


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_code_of_the_readme_runs(block, tmp_path, monkeypatch, request):
    if "fetch_" in block:
        request.getfixturevalue("real_data")
    monkeypatch.chdir(tmp_path)
    given = {}
    if "model" in block and "model =" not in block.split("model.")[0]:  # the block uses a fitted model
        given = {"model": FSMDClassifier(max_epochs=1).fit(*make_frame()), "FSMDClassifier": FSMDClassifier}
    exec(compile(block, "README.md", "exec"), given)


UNDERSTANDING = (ROOT / "docs" / "understanding.md").read_text()
PICTURES = re.findall(r"!\[.*?\]\((.*?)\)", UNDERSTANDING)


def test_the_code_of_understanding_runs(tmp_path, monkeypatch):
    """The blocks run one after another and share their variables."""
    import matplotlib
    from matplotlib import pyplot as plt

    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", UNDERSTANDING, flags=re.DOTALL)
    assert len(blocks) == 9
    given = {}
    for block in blocks:
        exec(compile(block, "understanding.md", "exec"), given)
        plt.close("all")
    assert (tmp_path / "card.md").exists()
    error = (given["found"].frame.sum(axis=1) - (given["found"].predictions - given["found"].baseline)).abs()
    assert (error <= 0.01 * given["found"].frame.abs().sum(axis=1) + 1e-6).all()


def test_the_pictures_of_understanding_exist():
    assert len(PICTURES) == 5
    assert all((ROOT / "docs" / picture).read_bytes().startswith(b"\x89PNG") for picture in PICTURES)
