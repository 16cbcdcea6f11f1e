"""The documentation site: every public name has a page, every stored result a figure, and the drawings are correct."""

import inspect
import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest
from codespell_lib import main as codespell
from numpydoc.validate import validate
from sklearn.preprocessing import StandardScaler
from tools import api, evidence, gallery, house, landing, links, parameters, play, public, results

import sklearn_fsmd
from sklearn_fsmd.compose import ForTask, TimeFeatures
from sklearn_fsmd.history import HistoryFeatures
from tests import test_layers

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
NAMES = public.all_names()
CHECKS = """
    GL01 GL02 GL03 GL05 GL06 GL07 GL08 GL09 GL10 PR01 PR02 PR03 PR04 PR06 PR09 PR10 RT01 SA02 SS01 SS02 SS03 SS04 YD01
""".split()
"""The numpydoc checks that must pass: everything that exists is documented, in order, and nothing else."""


def documented():
    """Yield the paths of public names and their methods; a method that several classes share appears once."""
    seen = set()
    for name in NAMES:
        yield name.path
        for method in public.methods(name.value) if name.kind == "class" else ():
            value = inspect.getattr_static(name.value, method)
            if id(value) not in seen:
                seen.add(id(value))
                yield f"{name.path}.{method}"


# ------------------------------------------------------------------------------------------------------------- the API


def test_the_public_modules_are_found():
    found = {name.removeprefix("sklearn_fsmd.") for name in public.modules()}
    assert found >= {"sklearn_fsmd", "compose", "datasets", "export", "history", "metrics", "plotting", "ranking"}


def test_public_modules_are_available_without_importing_them():
    code = "import sklearn_fsmd\nprint([getattr(sklearn_fsmd, name).__name__ for name in sklearn_fsmd._MODULES])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == f"{[f'sklearn_fsmd.{name}' for name in sklearn_fsmd._MODULES]}\n", run.stderr
    assert set(sklearn_fsmd._MODULES) < set(dir(sklearn_fsmd))
    with pytest.raises(AttributeError, match="module 'sklearn_fsmd' has no attribute 'inspections'"):
        sklearn_fsmd.inspections  # noqa: B018


@pytest.mark.parametrize("module", [name for name in public.modules() if hasattr(sys.modules[name], "__path__")])
def test_dir_of_a_subpackage_lists_exactly_the_public_names(module):
    imported = sys.modules[module]
    listed = {name for name in dir(imported) if not (name.startswith("_") or inspect.ismodule(getattr(imported, name)))}
    assert listed == {name for name in imported.__all__ if not name.startswith("_")}


@pytest.mark.parametrize("path", documented())
def test_docstrings_pass_the_numpydoc_checks(path):
    found = {code: message for code, message in validate(path)["errors"] if code in CHECKS}
    assert not found


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.path)
def test_every_public_name_has_an_example(name):
    if name.kind != "data":
        assert ">>> " in inspect.getdoc(name.value)


def test_every_public_name_has_a_page_and_every_method_an_entry():
    pages = api.write(DOCS)
    for name in NAMES:
        page = pages[f"api/generated/{name.path}.rst"]
        assert f".. auto{name.kind}:: {name.name}" in page
        for method in public.methods(name.value) if name.kind == "class" else ():
            assert re.search(rf"(:: |\.){method}(`|$)", page, flags=re.MULTILINE), method
    assert pages["api/sklearn_fsmd.rst"].count(":doc:") == len(sklearn_fsmd.__all__)


def test_inherited_methods_are_linked_and_not_repeated():
    pages = api.write(DOCS)
    assert "automethod:: fit\n" in pages["api/generated/sklearn_fsmd.MultiTaskClassifier.rst"]
    named = pages["api/generated/sklearn_fsmd.FSMDClassifier.rst"]
    for method in ("fit", "gate_weights", "predict_values", "load"):  # only some models have two of these
        assert f":meth:`~sklearn_fsmd.MultiTaskClassifier.{method}`" in named
    assert "automethod" not in named


@pytest.mark.parametrize("cls", [*parameters.models(), HistoryFeatures, TimeFeatures, ForTask])
def test_the_html_repr_of_an_estimator_links_to_its_page(cls, monkeypatch):
    monkeypatch.setenv("SKLEARN_FSMD_DOCS", "https://example.org/docs/")
    estimator = cls(StandardScaler()) if cls is ForTask else cls()
    page = estimator._get_doc_link().removeprefix("https://example.org/docs/").removesuffix(".html")
    assert f"{page}.rst" in api.write(DOCS)
    assert f'href="{estimator._get_doc_link()}"' in estimator._repr_html_()


def test_the_html_repr_has_no_link_if_the_url_of_the_site_is_not_set(monkeypatch):
    monkeypatch.delenv("SKLEARN_FSMD_DOCS", raising=False)
    model = sklearn_fsmd.FSMDClassifier()
    assert model._get_doc_link() == ""
    assert "api/generated" not in model._repr_html_()


def test_the_html_repr_of_a_user_s_subclass_has_no_link():
    class Mine(sklearn_fsmd.FSMDClassifier):
        pass

    assert Mine.__module__ == __name__
    assert Mine()._get_doc_link() == ""


def test_parameters_are_shown_in_groups():
    groups = api.groups_of(sklearn_fsmd.FSMDClassifier)
    assert set(groups) >= {"The network", "The course of training", "The machine", "The encoding of a table"}
    shown = [name for names in groups.values() for name in names]
    assert sorted(shown) == sorted(sklearn_fsmd.FSMDClassifier().get_params())

    lines = [":Parameters:", ""]
    for name in shown:
        lines += [f"    **{name}** : int", "        What it is.", ""]
    lines += [":Attributes:", "", "    **device** : str"]
    api.show_groups(None, "class", "", sklearn_fsmd.FSMDClassifier, None, lines)
    titles = [line for line in lines if ".. rubric::" in line]
    assert [title.split(":: ")[1] for title in titles] == list(groups)
    at = lines.index("    .. rubric:: The machine")
    assert lines[at + 2] == f"    **{groups['The machine'][0]}** : int"


def test_the_page_of_parameters_lists_all_of_them():
    page = parameters.page()
    for field in fields(sklearn_fsmd.MultiTaskClassifier):
        assert f"| `{field.name}` |" in page
    assert "FG `(64,)`" in page.split("| `gate_dims` |")[1].split("\n")[0]  # another default
    assert "FSMD" in page.split("| `n_experts` |")[1].split("\n")[0]  # not among its parameters


# ------------------------------------------------------------------------------------------------------------- the map


def test_the_map_shows_the_imports_found_by_the_test_of_layers():
    expected = {}
    for path in test_layers.FILES:
        part_name = test_layers.part_of(test_layers.name_of(path))
        found = {test_layers.part_of(module) for module in test_layers.imported(path)}
        expected.setdefault(part_name, set()).update(found - {None, part_name, "__version__"})
    parts = house.parts()
    assert set(parts) == set(expected)
    for name, part in parts.items():
        assert set(part.imports) == expected[name] & set(parts)


def test_every_part_is_drawn_and_every_arrow_goes_down():
    parts = house.parts()
    drawn = house.draw(parts)
    assert re.findall(r'<g id="([\w.]+)">', drawn) == sorted(parts, key=lambda n: (house.levels(parts)[n], n))
    arrows = re.findall(r'<path d="M[\d-]+,([\d-]+) .* [\d-]+,([\d-]+)"/>', drawn)
    assert len(arrows) == len(house.edges(parts)) > 20
    assert all(int(start) < int(end) for start, end in arrows)


def test_arrows_implied_by_others_are_left_out():
    parts = {
        name: house.Part(name, 1, 1, "", frozenset(imports))
        for name, imports in {"top": {"middle", "ground"}, "middle": {"ground"}, "ground": set()}.items()
    }
    assert house.levels(parts) == {"top": 2, "middle": 1, "ground": 0}
    assert house.edges(parts) == [("top", "middle"), ("middle", "ground")]


# ---------------------------------------------------------------------------------------------------- stored results


def test_every_stored_result_is_on_a_page():
    assert evidence.stored() <= evidence.shown()


FIGURES = {path: text for path, text in evidence.write(DOCS).items() if path.endswith(".md")}


@pytest.mark.parametrize("text", FIGURES.values(), ids=list(FIGURES))
def test_every_table_of_results_names_its_source(text):
    assert text.startswith("# ")
    tables = len(re.findall(r"^\|---\|", text, flags=re.MULTILINE))  # the first column holds words
    sources = re.findall(r"Made by `((?:make|python -m) [^`]+)`; `([^`]+)`; commit `(\w+)`.*machine: (.+)\.", text)
    assert len(sources) == len(re.findall(r"^\{\.source\}$", text, flags=re.MULTILINE)) >= max(tables, 1)
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for command, file, _, _ in sources:
        assert command.startswith("python -m ") or command.split()[1] in targets
        assert (ROOT / file).is_file()


def test_means_are_over_the_seeds():
    import pandas as pd

    frame = pd.DataFrame({"model": ["a", "a", "b"], "seed": [0, 1, 0], "auc": [0.7, 0.8, float("nan")]})
    table = results.means(frame, ["model"], {"auc": "AUC"})
    assert table.to_dict("list") == {"model": ["a", "b"], "seeds": [2, 1], "AUC": ["0.7500 ± 0.0707", "–"]}
    fits = frame.assign(fit=[0, 1, 0], seed=0)  # several fits with the same seed
    assert results.means(fits, ["model"], {"auc": "AUC"})["AUC"].tolist() == ["0.7500", "–"]
    assert results.as_table(table).splitlines()[1] == "|---|--:|--:|"


def test_the_front_page_compares_this_library_with_others():
    table = landing.table()
    ours = results.read(evidence.QUALITY).query("contender == 'sklearn-fsmd' and data == 'kuairand' and part == 'test'")
    assert f"| sklearn-fsmd | {ours['click_auc'].mean():.4f} |" in table
    assert all(title in table for title in landing.SHOWN.values())
    assert b"<svg" in landing.seesaw()


def test_the_browser_demo_is_part_of_the_site_if_it_was_built(tmp_path, monkeypatch):
    app = SimpleNamespace(outdir=tmp_path / "site", builder=SimpleNamespace(name="html"))
    monkeypatch.setattr(play, "BUILT", tmp_path / "web")
    assert "play/index.html" not in play.write(DOCS)["_generated/play.md"]
    play.copy(app, None)
    assert not (tmp_path / "site" / "play").exists()

    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "index.html").write_text("three weights")
    play.copy(app, None)
    assert 'href="play/index.html"' in play.write(DOCS)["_generated/play.md"]
    assert (tmp_path / "site" / "play" / "index.html").read_text() == "three weights"


# ------------------------------------------------------------------------------------------------------- the gallery

EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_begins_with_its_title(name):
    text = (ROOT / "examples" / f"{name}.py").read_text()
    title, line, empty = text.removeprefix('"""').splitlines()[:3]
    assert len(line) >= len(title)
    assert set(line) == {"="}
    assert not empty
    assert name in gallery.ORDER


@pytest.mark.parametrize("name", gallery.LONG)
def test_the_stored_output_of_an_example_belongs_to_it(name):
    run = json.loads((gallery.STORED / f"{name}.json").read_text())
    assert run["pictures"]
    assert all((gallery.STORED / picture).read_bytes().startswith(b"\x89PNG") for picture in run["pictures"])
    assert f'"""{run["title"]}\n' in (ROOT / "examples" / f"{name}.py").read_text()
    page = ["Title\n\n.. _sphx_glr_download_gallery_x.py:\n\nthe end"]
    gallery.show_stored(None, f"gallery/{name}", page)
    assert run["command"] in page[0]
    assert page[0].endswith("the end")
    assert not re.search(gallery.CONFIGURATION["filename_pattern"], f"examples/{name}.py")


def test_short_examples_run_when_the_site_is_built():
    assert re.search(gallery.CONFIGURATION["filename_pattern"], "/examples/five_lines.py")


# ------------------------------------------------------------------------------------------------------ links, words


def test_broken_links_are_found(tmp_path):
    (tmp_path / "there.html").write_text('<p id="here">')
    (tmp_path / "page.html").write_text(
        '<a href="there.html#here"></a><a href="there.html#here:~:text=word"></a>'
        '<a href="there.html#:~:text=word"></a><a href="there.html#gone"></a><a href="away.html"></a>'
        '<a href="https://example.org"></a><img src="gone.png"><script src="https://example.org/x.js"></script>'
    )
    found = "\n".join(links.faults(tmp_path))
    assert found.count("page.html") == 4
    assert all(wrong in found for wrong in ("there.html#gone", "away.html", "gone.png", "example.org/x.js"))


def test_spelling():
    pages = [str(path) for path in DOCS.rglob("*.md") if "_generated" not in path.parts]
    others = [str(ROOT / name) for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
    code = [str(ROOT / "sklearn_fsmd"), str(ROOT / "examples"), str(DOCS / "tools")]
    assert (
        codespell(
            "--skip=*.c,*.so,*.pyc,*/model_card.md,node_modules", "--ignore-words-list=fo", *pages, *others, *code
        )
        == 0
    )
