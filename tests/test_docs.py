"""The documentation points at what is there."""

import re
from pathlib import Path

import pytest

from sklearn_fsmd import FSMDClassifier

ROOT = Path(__file__).parent.parent
EQUATIONS = re.findall(r"\| `([\w/.]+):(\d+)` \| `(.+?)` \|", (ROOT / "docs" / "paper.md").read_text())


def test_the_equations_are_found():
    assert len(EQUATIONS) >= 14


@pytest.mark.parametrize(("path", "line", "code"), EQUATIONS)
def test_an_equation_stands_where_it_is_said_to_stand(path, line, code):
    assert code.replace("\\|", "|") in (ROOT / path).read_text().splitlines()[int(line) - 1]


def test_the_parameters_exist():
    text = (ROOT / "docs" / "paper.md").read_text()
    table = text[text.index("## Parameters") : text.index("## What is damaged")]
    named = set(re.findall(r"`(\w+)`", table))
    assert named <= set(FSMDClassifier().get_params())
    assert len(named) > 15
