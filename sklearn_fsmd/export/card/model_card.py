"""model_card: the one function of this folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.compose import fitted_model
from sklearn_fsmd.encoding import as_pandas
from sklearn_fsmd.export.card.pictures import as_markdown
from sklearn_fsmd.export.card.tables import (
    columns_table,
    of_cut,
    one_section,
    parameters_table,
    readable,
    targets_table,
)
from sklearn_fsmd.export.card.texts import OF_PARAMETERS, READING, about, limits_of
from sklearn_fsmd.inspection import metric_table
from sklearn_fsmd.metrics import check_count, column_named, cuts_of, segments_by_name, sizes_of
from sklearn_fsmd.persistence import replacing
from sklearn_fsmd.plotting import not_among

TITLE = "Model card"


def model_card(
    model: Any,
    X: Any,
    Y: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    by: Sequence[str] | Mapping[str, Any] = (),
    groups: Any = None,
    description: str = "",
    limits: str | Sequence[str] = (),
    importances: Any = None,
    pictures: bool = True,
    max_segments: int = 10,
    sample_weight: Any = None,
    n_samples: int = 200,
    random_state: Any = None,
) -> Any:
    """A model card of a fitted model: data, metrics with intervals, calibration, parameters and limits.

    All figures are of the rows that are given, which the model must not have been trained on. What nobody can compute
    (what the model is for, where the data come from, whom it may hurt) is yours to say in `description` and `limits`.

    Parameters
    ----------
    model : fitted MultiTaskClassifier, or a Pipeline or search that ends in one.
    X, Y : test data, as its `score` takes them.
    path : str or path, default=None
        A Markdown file to write. A file of that name is replaced when the new one is complete.
    by : sequence of str, or dict of name to array-like of shape (n,), default=()
        Columns of X, or arrays, that cut the rows into segments: there are metrics of each.
    groups : str, or array-like of shape (n,), default=None
        The user of each row: intervals say what other users would change. See
        :func:`~sklearn_fsmd.inspection.metric_table`.
    description : str, default=""
        Markdown: purpose, origin of the data, who answers for the model.
    limits : str or sequence of str, default=()
        Limits beside those that are found in the figures.
    importances : Bunch, default=None
        What :func:`~sklearn_fsmd.inspection.feature_importances` has returned, to be drawn.
    pictures : bool, default=True
        Whether there are pictures: PNG inside of the Markdown, so that the card is one file.
    max_segments : int, default=10
        How many segments of each cut are shown, the largest.
    sample_weight : array-like of shape (n,) or (n, n_tasks + n_values), default=None
    n_samples : int, default=200
        Samples of the bootstrap.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    card : skops.card.Card
        Sections can be added to it; ``card.render()`` is the Markdown.

    Raises
    ------
    ImportError
        If skops is not installed, or matplotlib for pictures: ``pip install 'sklearn-fsmd[card]'``.
    TypeError
        If the model is none of this library's classifiers.
    ValueError
        If `by` names no column of X, or the data do not fit the model.
    OSError
        If the file cannot be written; what was there before is unchanged then.

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.export import model_card
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> X, Y = make_funnel(600, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=1, random_state=0).fit(X[:400], Y[:400])
    >>> card = model_card(model, X[400:], Y[400:], by=["device"], pictures=False, n_samples=20, random_state=0)
    >>> print(card.render().splitlines()[1])
    # Model card: FSMDClassifier
    """
    card_of = _skops()
    own = fitted_model(model)
    check_count("max_segments", max_segments)
    Y = as_pandas(Y)
    cuts = _cuts(by, X)
    segments_of = {name: _largest(column, max_segments) for name, column in cuts.items()}
    whole = metric_table(
        model,
        X,
        Y,
        by={name: column.to_numpy() for name, column in segments_of.items()} or None,
        groups=groups,
        sample_weight=sample_weight,
        n_samples=n_samples,
        random_state=random_state,
    )
    table = whole.xs("all rows", level="segment", drop_level=False)
    of_cuts = {name: of_cut(whole, name, column) for name, column in segments_of.items()}
    title = f"{TITLE}: {type(own).__name__}"
    card = card_of(own, model_diagram=False, template=None)

    def add(section: str, text: str) -> None:
        card.add(**{f"{title}/{section}": text})

    card.add(**{title: about(model, own, description)})

    def add_table(section: str, rows: pd.DataFrame, **how: Any) -> None:
        card.add_table(**how, **{f"{title}/{section}": rows})
        heading = section.partition("/")[2] or section
        card.select(f"{title}/{section}").title = heading.replace("\\/", "/")

    add("Data", f"The test data have {len(X):,} rows.")
    add_table("Data/Targets", targets_table(own, table))
    add_table("Data/Columns", columns_table(model, own, X))
    add("Metrics", READING.format(what="groups of rows" if groups is not None else "rows", n=n_samples))
    add_table("Metrics/All rows", readable(table))
    for name, segments in of_cuts.items():
        add_table(f"Metrics/By {one_section(name)}", readable(segments, by=name))
    if pictures:
        for section, (text, picture) in as_markdown(model, X, Y, cuts, importances, sample_weight).items():
            add(section, f"{text}\n\n{picture}")
    of_user = [limits] if isinstance(limits, str) else limits
    add("Limits", "\n".join(f"- {limit}" for limit in [*of_user, *limits_of(own, table, of_cuts)]))
    add_table("Parameters", parameters_table(own), description=OF_PARAMETERS, folded=True)
    if path is not None:
        with replacing(path) as temporary:
            temporary.write_text(card.render(), encoding="utf-8")
    return card


def _cuts(by: str | Sequence[str] | Mapping[str, Any], X: Any) -> dict[str, Any]:
    """For each cut the segment of each row."""
    if isinstance(by, Mapping):
        columns = cuts_of(by, X)
    else:
        columns = {name: column_named(X, name, "by") for name in ([by] if isinstance(by, str) else by)}
    return {str(name): np.asarray(as_pandas(column), dtype=object) for name, column in columns.items()}


def _largest(column: np.ndarray, n: int) -> pd.Series:
    """The segments with all but the `n` largest as one, "others" if no segment has that name."""
    names = segments_by_name(column)
    kept = sizes_of(names).index[:n]
    return names.where(names.isin(kept), not_among(kept, "others"))


def _skops() -> Any:
    try:
        from skops.card import Card
    except ImportError as error:
        raise ImportError("A model card is made by skops: pip install 'sklearn-fsmd[card]'.") from error
    return Card
