"""The code of the pages of the site runs and prints the output shown, links work, and parameter tables are complete."""

import re
import sys
from dataclasses import fields

import pytest
from tools.outputs import BLOCK, DOCS, FOLDERS, PAGES, is_alike, renewed, run, steps_of

import sklearn_fsmd
from sklearn_fsmd.compose import ForTask, TimeFeatures
from sklearn_fsmd.history import HistoryFeatures
from sklearn_fsmd.parameters import (
    EXTRACTORS,
    InputParameters,
    MultiTaskParameters,
    NetworkParameters,
    OptimizationParameters,
    TrainingParameters,
)

GUIDE = "\n".join(page.read_text() for page in sorted((DOCS / "guide").glob("*.md")))
WITH_CODE = [page for page in PAGES if list(steps_of(page.read_text()))]


def name_of(page):
    return str(page.relative_to(DOCS))


@pytest.mark.parametrize(
    ("shown", "printed", "alike"),
    [
        ("AUC 0.71, rows 5", "AUC  0.72,\nrows 5", True),
        ("AUC 0.71", "AUC 0.81", False),
        ("AUC 0.7", "AUC 0.8", True),
        ("AUC 0.7", "AUC 0.9", False),
        ("5 rows", "6 rows", False),
        ("ValueError: X …", "ValueError: X contains NaN.", True),
        ("one", "one two", False),
        ("click", "conversion", False),
    ],
)
def test_comparison_of_shown_and_printed_outputs(shown, printed, alike):
    assert is_alike(shown, printed) == alike


def test_outdated_outputs_are_updated(tmp_path):
    page = tmp_path / "page.md"
    template = "```python\nprint({})\n```\n\n```text\n{}\n```\n"
    page.write_text("# A page\n" + template.format(0.71, 0.72) + "more\n" + template.format("1 + 1", 3) + "end\n")
    expected = "# A page\n" + template.format(0.71, 0.72) + "more\n" + template.format("1 + 1", 2) + "end\n"
    assert renewed(page) == expected


@pytest.fixture
def _undo_registrations(monkeypatch):
    """Undo the registrations of a page and close its figures afterwards."""
    monkeypatch.setattr(EXTRACTORS, "parts", dict(EXTRACTORS.parts))
    before = set(EXTRACTORS.names)
    yield
    EXTRACTORS.names.intersection_update(before)  # in place, because constraints refer to this set
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.usefixtures("_undo_registrations")
@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    """Run the blocks in order, in one namespace and an empty folder, and compare the outputs with those shown."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    names = {"__name__": "__main__"}
    for code, shown in steps_of(page.read_text()):
        printed = run(code, page, names)
        if shown is not None:
            assert is_alike(shown[2], printed), f"the page shows\n{shown[2]}\nand this was printed\n{printed}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_have_a_target(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", page.read_text())):
        if not target.startswith(("http", "#", "mailto")):
            path, _, anchor = target.partition("#")
            assert (page.parent / path).exists(), target
            if anchor:
                assert anchor in anchors_of((page.parent / path).read_text()), target


def anchors_of(text):
    """The anchors of headings on GitHub and in MyST."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_table_of_contents_is_complete(folder):
    text = (DOCS / folder / "index.md").read_text()
    entries = re.findall(r"^```\{toctree\}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    named = [line.strip() for entry in entries for line in entry.splitlines() if line.strip() and line[0] != ":"]
    assert len(named) == len(set(named))
    assert all((DOCS / folder / f"{name}.md").is_file() for name in named)
    assert {f"{name}.md" for name in named} | {"index.md"} >= {page.name for page in (DOCS / folder).glob("*.md")}


def parameters_of(cls):
    return set(cls._get_param_names())


PUBLIC = set().union(
    *(parameters_of(getattr(sklearn_fsmd, name)) for name in sklearn_fsmd.__all__ if name[0].isupper()),
    *map(parameters_of, (HistoryFeatures, TimeFeatures, ForTask)),
)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_each_parameter_occurs_in_the_guide(name):
    assert re.search(rf"`{name}[`=]|\b{name}=", GUIDE)


SECTIONS = {
    "What the columns are": InputParameters,
    "The network": NetworkParameters,
    "A step of training": OptimizationParameters,
    "The course of training": TrainingParameters,
    "The machine": MultiTaskParameters,
}
"""Sections of the page of parameters and the group of each, without the parameters of earlier groups."""


def test_the_tables_of_parameters_match_the_code():
    text = (DOCS / "guide" / "parameters.md").read_text()
    documented = set()
    for title, group in SECTIONS.items():
        section = text[text.index(f"## {title}\n") :].split("\n## ")[0]
        rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \|", section, flags=re.MULTILINE)
        defaults = {field.name: field.default for field in fields(group)}
        before = documented & set(defaults)
        assert {name for name, _ in rows} == set(defaults) - before, title
        assert {name: eval(default) for name, default in rows} == {name: defaults[name] for name, _ in rows}
        documented |= set(defaults)
    assert documented == parameters_of(sklearn_fsmd.MultiTaskClassifier)
