"""Checks of the input of an estimator: rows, targets and validation rows, and the warnings about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_consistent_length

from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.table import as_pandas, named_in_errors, read_table
from sklearn_fsmd.encoding.targets import (
    LabelledRows,
    StepSums,
    TargetEncoder,
    Targets,
    warn_of_validation_without_events,
    warn_of_young_validation,
    warn_unlabeled_validation,
)
from sklearn_fsmd.encoding.warnings import (
    warn_of_category_dtypes,
    warn_of_id_vectors,
    warn_of_ids,
    warn_of_leaking_columns,
    warn_of_missing_codes,
    warn_of_orders,
    warn_of_text,
    warn_of_two_types,
    warn_of_unix_times,
)
from sklearn_fsmd.estimators.sampled_logs import FirstStep, refuse_unsampled, refuse_weights_that_correct_too, shift_of
from sklearn_fsmd.estimators.tags import TakesTables
from sklearn_fsmd.network import parents_of
from sklearn_fsmd.parameters import OF_ALL_TASKS, MultiTaskParameters, estimator
from sklearn_fsmd.training import steps_of

IN_A_PIPELINE = (
    " In a Pipeline, `transform_input=['X_val']` passes it through the steps before the model, by metadata routing: "
    "see docs/guide/pipelines.md."
)


@estimator
class Reading(TakesTables, MultiTaskParameters):
    """Mixin that checks and encodes tables and targets as the parameters specify."""

    def _check_data(self, X: Any, Y: Any, sample_weight: Any, from_scratch: bool) -> tuple[Any, Any, Any]:
        """Check rows, targets and weights, and return them as pandas or numpy objects.

        A fit `from_scratch` takes the names of the columns from X; any other compares them with the names of fit.
        """
        if Y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        warn_of_orders(X=X, Y=Y, sample_weight=sample_weight)
        X = read_table(self, X, reset=from_scratch)
        Y, sample_weight = as_pandas(Y), as_pandas(sample_weight)
        check_consistent_length(X, Y)
        return X, Y, sample_weight

    def _check_unlabeled(self, X: Any, X_unlabeled: Any) -> Any:
        """Check that X_unlabeled has the columns of X, and return it as a pandas or numpy object."""
        if X_unlabeled is None:
            return None
        X_unlabeled = as_pandas(X_unlabeled)
        if isinstance(X, pd.DataFrame) != isinstance(X_unlabeled, pd.DataFrame):
            raise TypeError(f"X and `X_unlabeled` must be of one kind. Got {type(X)} and {type(X_unlabeled)}.")
        if isinstance(X, pd.DataFrame) and list(X.columns) != list(X_unlabeled.columns):
            raise ValueError(
                "The columns of `X_unlabeled` must be those of X, in their order. "
                f"X has {list(X.columns)}, `X_unlabeled` has {list(X_unlabeled.columns)}."
            )
        return read_table(self, X_unlabeled, reset=False)

    def _encode_validation(
        self,
        X_val: Any,
        Y_val: Any,
        weights: Any,
        X: Any,
        encoder: InputEncoder,
        targets: TargetEncoder,
        parents: Sequence[int | None],
    ) -> LabelledRows:
        """Encode the validation data; errors name `X_val` and `Y_val` instead of X and Y."""
        warn_of_orders(X_val=X_val, Y_val=Y_val, sample_weight_val=weights)
        X_val = as_pandas(X_val)
        has_columns_of_X = list(getattr(X_val, "columns", ())) == list(getattr(X, "columns", ()))
        with named_in_errors("X_val", "" if has_columns_of_X else IN_A_PIPELINE):
            encoded = encoder.encode(read_table(self, X_val, reset=False))
        with named_in_errors("Y_val" if weights is None else "Y_val, sample_weight_val"):
            Y_val = as_pandas(Y_val)
            check_consistent_length(encoded.codes, Y_val)
            labels = targets.encode(Y_val, weights, parents)
            refuse_weights_that_correct_too(self.negative_sampling_rate, labels, parents)
            return encoded, labels

    def _new_targets(self, Y: Any, classes: Any) -> TargetEncoder:
        targets = TargetEncoder().fit(
            Y,
            classes,
            value_targets=self.value_targets,
            value_parents=self.value_parents,
            value_loss=self.value_loss,
        )
        if "best" in [*targets.names, *targets.value_names]:
            raise ValueError(
                "Y has a column named 'best'. In the history, 'valid_auc_best' tells whether an epoch is the best so "
                "far, so it cannot be the AUC of this column. Rename it."
            )
        return targets

    def _parents(self, targets: TargetEncoder) -> tuple[int | None, ...]:
        """For each target the position of the step before it, or None."""
        parents = parents_of(self.link, len(targets.classes))
        clashes = {*targets.names} & {*steps_of(targets.names, parents).values()}
        if clashes:
            raise ValueError(
                f"Y has a column named {min(clashes)!r}. In the history, 'valid_auc_{min(clashes)}' is the AUC of a "
                "step given the one before it, so it cannot be that of this column too. Rename it."
            )
        if self.chain_loss != type(self).chain_loss and all(parent is None for parent in parents):
            raise ValueError(
                f"chain_loss={self.chain_loss!r} is for targets that are steps after others, and here none is: there "
                f"{'is one target' if len(parents) == 1 else f'are {len(parents)}'}, with link={self.link!r}."
            )
        if self.negative_sampling_rate != 1:
            shift_of(self.negative_sampling_rate, parents)  # raises if there is no single first step
            if targets.of_values is not None and None in targets.of_values.parents:
                name = targets.value_names[targets.of_values.parents.index(None)]
                raise ValueError(
                    f"negative_sampling_rate={self.negative_sampling_rate} does not go together with the value "
                    f"{name!r}: it is observed without the first event too, and some of these rows were dropped, so "
                    "its mean would be that of the sample. Name a parent in `value_parents`."
                )
        return parents

    def _check_validation(
        self,
        train: Targets,
        valid: Targets,
        train_steps: StepSums,
        targets: TargetEncoder,
        parents: Sequence[int | None],
        *,
        is_given: bool,
    ) -> None:
        """Warn of targets that the validation rows, which the user may have given, do not know, or know less often.

        Raises
        ------
        ValueError
            If they were given, and are not sampled as the training rows are.
        """
        if is_given and self.negative_sampling_rate != 1:
            steps = FirstStep.of(train_steps, parents), FirstStep.of(StepSums.from_targets(valid, parents), parents)
            refuse_unsampled(self.negative_sampling_rate, *steps, "the validation rows")
        warn_unlabeled_validation(valid, targets, parents)
        if is_given and self.validation_metric in OF_ALL_TASKS:  # rows that were set aside are as many as the user has
            warn_of_validation_without_events(train, valid, targets.names, parents)
        if is_given or self.validation == "last":  # rows drawn at random are as old as the training rows
            warn_of_young_validation(train, valid, targets.names, parents)

    def _warn_of_columns(self, encoder: InputEncoder, targets: TargetEncoder, X: Any, labels: Targets) -> None:
        """Warn of columns of X that leak the labels, or that look like ids, times or numbers and are not treated so."""
        warn_of_leaking_columns(X, labels, targets.names)
        main_columns = encoder.main_part(X)
        warn_of_missing_codes(encoder.main, main_columns)
        warn_of_two_types(encoder.main)
        if isinstance(self.categorical_features, str) and self.categorical_features == "from_dtype":
            main, bias = np.flatnonzero(~encoder.is_bias), np.flatnonzero(encoder.is_bias)
            bias_categories = [] if encoder.bias is None else [int(bias[k]) for k in encoder.bias.categories]
            warn_of_ids(encoder.main, main_columns, labels, main, bias_categories)
            warn_of_unix_times(encoder.main, main_columns, main)
            warn_of_text(encoder.main, main_columns)
        else:
            warn_of_category_dtypes(encoder.main, main_columns)
        if isinstance(self.vector_features, str) and self.vector_features == "auto":
            warn_of_id_vectors(encoder.main, main_columns)
