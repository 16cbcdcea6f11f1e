"""model_card, the public function of this folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.compose import fitted_model
from sklearn_fsmd.encoding.table import as_pandas
from sklearn_fsmd.export.card.pictures import as_markdown
from sklearn_fsmd.export.card.tables import (
    columns_table,
    escaped_heading,
    parameters_table,
    readable_metrics,
    table_of_cut,
    targets_table,
)
from sklearn_fsmd.export.card.texts import ABOUT_METRICS, ABOUT_PARAMETERS, introduction, limits_of
from sklearn_fsmd.inspection import metric_table
from sklearn_fsmd.metrics import check_count, column_named, cuts_of, segments_by_name, sizes_of
from sklearn_fsmd.persistence import replacing
from sklearn_fsmd.plotting import unused_name

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
    as_shown: bool = False,
    n_bootstrap: int = 200,
    random_state: Any = None,
) -> Any:
    """Make a model card of a fitted model: data, metrics with intervals, calibration, parameters and limits.

    All results are computed on `X` and `Y`, on which the model must not have been trained. Describe what cannot be
    computed in `description` and `limits`: the purpose of the model, the origin of the data, and whom it may harm.

    Parameters
    ----------
    model : MultiTaskClassifier, or a Pipeline or search that ends in one
        Fitted model.
    X, Y : table and targets of n rows
        Test data, in the form that `score` of the model takes.
    path : str or path, default=None
        Markdown file to write. An existing file is replaced when the new one is complete. None writes no file.
    by : sequence of str, or dict of name to array-like of shape (n,), default=()
        Columns of X, or named arrays, that divide the rows into segments. The card has metrics for each segment.
    groups : str, or array-like of shape (n,), default=None
        The user of each row, or the column of X that holds it. The bootstrap then draws users instead of rows, so that
        intervals show how much results vary with the users. See :func:`~sklearn_fsmd.inspection.metric_table`.
    description : str, default=""
        First paragraphs of the card, as Markdown: purpose, origin of the data, who is responsible for the model.
    limits : str or sequence of str, default=()
        Limits of the model, in addition to those that follow from the metrics.
    importances : Bunch, default=None
        Result of :func:`~sklearn_fsmd.inspection.feature_importances`, to be drawn in the card. Needs `pictures`.
    pictures : bool, default=True
        Whether to draw calibration, lift and importances. The pictures are PNG images inside the Markdown, so that the
        card is a single file.
    max_segments : int, default=10
        Number of segments to show for each entry of `by`: the largest ones. The others are one segment together.
    sample_weight : array-like of shape (n,) or (n, n_tasks + n_values), default=None
        Weights of the rows, or of the labels.
    as_shown : bool, default=False
        Whether to predict each row for the position in its `bias_features`, as in the log, for metrics and pictures.
    n_bootstrap : int, default=200
        Number of bootstrap samples.
    random_state : int, RandomState instance or None, default=None
        Randomness of the bootstrap.

    Returns
    -------
    card : skops.card.Card
        Card to which you can add sections; ``card.render()`` returns the Markdown.

    Raises
    ------
    ImportError
        If skops is not installed, or matplotlib for pictures: ``pip install 'sklearn-fsmd[card]'``.
    TypeError
        If `model` is not a classifier of this library.
    ValueError
        If `by` names no column of X, or the data do not fit the model.
    OSError
        If the file cannot be written. An existing file stays unchanged.

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.export import model_card
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> X, Y = make_funnel(600, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=1, random_state=0).fit(X[:400], Y[:400])
    >>> card = model_card(model, X[400:], Y[400:], by=["device"], pictures=False, n_bootstrap=20, random_state=0)
    >>> print(card.render().splitlines()[1])
    # Model card: FSMDClassifier
    """
    card_class = _skops_card()
    classifier = fitted_model(model)
    check_count("max_segments", max_segments)
    Y = as_pandas(Y)
    cuts = _cuts(by, X)
    segments_by_cut = {name: _largest_segments(column, max_segments) for name, column in cuts.items()}
    whole_table = metric_table(
        model,
        X,
        Y,
        by={name: column.to_numpy() for name, column in segments_by_cut.items()} or None,
        groups=groups,
        sample_weight=sample_weight,
        as_shown=as_shown,
        n_bootstrap=n_bootstrap,
        random_state=random_state,
    )
    all_rows = whole_table.xs("all rows", level="segment", drop_level=False)
    cut_tables = {name: table_of_cut(whole_table, name, column) for name, column in segments_by_cut.items()}
    title = f"{TITLE}: {type(classifier).__name__}"
    card = card_class(classifier, model_diagram=False, template=None)

    def add(section: str, text: str) -> None:
        card.add(**{f"{title}/{section}": text})

    card.add(**{title: introduction(model, classifier, description)})

    def add_table(section: str, rows: pd.DataFrame, **options: Any) -> None:
        card.add_table(**options, **{f"{title}/{section}": rows})
        heading = section.partition("/")[2] or section
        card.select(f"{title}/{section}").title = heading.replace("\\/", "/")

    add("Data", f"The test data have {len(X):,} rows.")
    add_table("Data/Targets", targets_table(classifier, all_rows))
    add_table("Data/Columns", columns_table(model, classifier, X))
    add("Metrics", ABOUT_METRICS.format(what="groups of rows" if groups is not None else "rows", n=n_bootstrap))
    add_table("Metrics/All rows", readable_metrics(all_rows))
    for name, table in cut_tables.items():
        add_table(f"Metrics/By {escaped_heading(name)}", readable_metrics(table, by=name))
    if pictures:
        options = {"sample_weight": sample_weight, "as_shown": as_shown}
        for section, (text, picture) in as_markdown(model, X, Y, cuts, importances, **options).items():
            add(section, f"{text}\n\n{picture}")
    user_limits = [limits] if isinstance(limits, str) else limits
    all_limits = [*user_limits, *limits_of(classifier, all_rows, cut_tables, as_shown=as_shown)]
    add("Limits", "\n".join(f"- {limit}" for limit in all_limits))
    add_table("Parameters", parameters_table(classifier), description=ABOUT_PARAMETERS, folded=True)
    if path is not None:
        with replacing(path) as temporary:
            temporary.write_text(card.render(), encoding="utf-8")
    return card


def _cuts(by: str | Sequence[str] | Mapping[str, Any], X: Any) -> dict[str, Any]:
    """The segment of each row, for each entry of `by`."""
    if isinstance(by, Mapping):
        columns = cuts_of(by, X)
    else:
        columns = {name: column_named(X, name, "by") for name in ([by] if isinstance(by, str) else by)}
    return {str(name): np.asarray(as_pandas(column), dtype=object) for name, column in columns.items()}


def _largest_segments(column: np.ndarray, n: int) -> pd.Series:
    """The segment of each row, with all but the `n` largest merged; they are called "others" if no segment is."""
    names = segments_by_name(column)
    largest = sizes_of(names).index[:n]
    return names.where(names.isin(largest), unused_name(largest, "others"))


def _skops_card() -> Any:
    try:
        from skops.card import Card
    except ImportError as error:
        raise ImportError("model_card needs skops: pip install 'sklearn-fsmd[card]'.") from error
    return Card
