"""CITATION.cff names this version and the paper; `make release-check` validates its format."""

import re
from pathlib import Path

import sklearn_fsmd

CITATION = (Path(__file__).parent.parent / "CITATION.cff").read_text()


def test_the_cited_version_is_that_of_the_package():
    assert re.search(r"^version: (.+)$", CITATION, flags=re.MULTILINE)[1] == sklearn_fsmd.__version__


def test_the_paper_is_cited():
    assert "Personalized Recommendation Multi-Objective Optimization Model Based on Deep Learning" in CITATION
    assert re.findall(r"family-names: (\w+)", CITATION) == ["Yang", "Liu", "Lu"]
