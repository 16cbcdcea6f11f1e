"""Updates of the statistics of the targets between two fits."""

from __future__ import annotations

from typing import Any, Self, cast

from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sklearn_fsmd.encoding import Growth
from sklearn_fsmd.encoding.table import as_pandas
from sklearn_fsmd.encoding.targets import IN_RATES, StepSums, one_of, warn_of_young_rows, without_young_steps
from sklearn_fsmd.encoding.warnings import warn_of_orders
from sklearn_fsmd.estimators.predictions import Predictions
from sklearn_fsmd.estimators.sampled_logs import refuse_unsampled_rows
from sklearn_fsmd.inference import Predictor
from sklearn_fsmd.parameters import MultiTaskParameters, warn
from sklearn_fsmd.training import construction


class Statistics(Predictions):
    """Mixin for an estimator whose statistics of the targets can be updated with further rows."""

    def update_statistics(self, X: Any, Y: Any = None, sample_weight: Any = None, *, y: Any = None) -> Self:
        """Add further rows to the statistics of the targets, without training.

        From then on, predictions take into account what users and items have done since `fit`. Add for instance the log
        of yesterday, or the rows of `X_val` after the model was evaluated on them. The weights of the network, the
        level and the calibration do not change. Rows that are added twice count twice. A `warm_start` fit learns the
        statistics again, from its own rows, unless ``new_categories="grow"``.

        Values that `fit` has not seen stay unknown. With ``new_categories="grow"``, a value that was seen
        `min_frequency` times gets statistics and an embedding, which is a copy of the embedding of unknown values.

        A step is left out if its label is unknown in all rows in which the step before it has happened: the rows are
        too young, and would lower its rates. The statistics now contain the labels of these rows, so do not evaluate
        the model on them afterwards.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        Y : array-like of shape (n_samples,) or (n_samples, n_columns)
            As in `fit`.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
            As in `partial_fit`, not scaled: a weight of 1 is the mean weight of a row in `fit`. There, weights are
            scaled to a mean of 1 for each target. If one row in ten had a label, each label had the weight 10: pass 10
            for the same influence.
        y : default=None
            Another name of Y.

        Returns
        -------
        self : the estimator.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the estimator was fitted with ``target_statistics=None``; if X or Y are not as in `fit`; or if the rows
            are clearly those of a whole log, and the model was fitted on a sampled one (`negative_sampling_rate`).

        Warns
        -----
        UserWarning
            If `fit` found no column whose rates improve predictions, so that there is nothing to update.
        """
        check_is_fitted(self)
        self._validate_params()  # type: ignore[attr-defined]
        return self._learn_atomically(lambda copied, _: copied._add_to_statistics(X, one_of(Y, y), sample_weight))

    def _add_to_statistics(self, X: Any, Y: Any, sample_weight: Any) -> None:
        warn_of_orders(X=X, Y=Y, sample_weight=sample_weight)
        parameters = cast("MultiTaskParameters", self)  # a subclass declares them
        X, growth = self._table(X), Growth(self._encoder, grows=parameters.new_categories == "grow")
        growth.update(X)
        encoder = growth.finish()  # has a copy of the statistics
        if encoder.statistics is None:
            if self._predictor.spec.get("target_statistics", "ordered") is None:
                raise ValueError(
                    f"This {type(self).__name__} has no statistics of the targets: `target_statistics` was None. Fit "
                    "with 'ordered'; a history has its own `update`."
                )
            warn(
                f"This {type(self).__name__} has no statistics of the targets, so nothing is updated: `fit` found no "
                "column whose rates improve predictions. To have some anyway, name columns in `statistics_features`."
            )
            return
        rows = encoder.main.encode(encoder.main_part(X))
        Y = as_pandas(Y)
        check_consistent_length(rows.codes, Y)
        parents = self.module_.link.parents
        targets = without_young_steps(self._targets.encode(Y, sample_weight, parents, scale=False), parents)
        names, shares = self._targets.names, encoder.statistics.known_shares(parents)
        warn_of_young_rows(targets.labels, targets.full_weights, names, parents, usual=shares, consequence=IN_RATES)
        refuse_unsampled_rows(self._predictor.spec, StepSums.from_targets(targets, parents), parents)
        encoder.statistics.add(rows.codes, targets)
        if encoder.main.n_rows > self._encoder.main.n_rows:
            net = construction.resume_training(parameters, self.net_)
            construction.grow(parameters, net, self._encoder, encoder)
            self._predictor = Predictor(net.module_, str(net.device), net.spec_, net)
        self._encoder = encoder
