"""The statistics of the targets go on between two trainings."""

from __future__ import annotations

from typing import Any, Self

from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sklearn_fsmd.encoding import Growth, StepSums, as_pandas, one_of, warn_of_orders, warn_of_young_rows
from sklearn_fsmd.estimators.calibration import refuse_unsampled
from sklearn_fsmd.estimators.predictions import Predictions
from sklearn_fsmd.inference import Predictor
from sklearn_fsmd.training import Net, making


class Statistics(Predictions):
    """The method of an estimator whose statistics of the targets can be told of further rows."""

    net_: Net

    def update_statistics(self, X: Any, Y: Any = None, sample_weight: Any = None, *, y: Any = None) -> Self:
        """Let the statistics of the targets know further rows, without training.

        What users and items have done since `fit` counts in predictions from now on: the rows of `X_val`, once the
        model has been judged by them, or the log of yesterday. The weights of the network stay, and so do level and
        calibration. Rows that are added twice count twice. A `warm_start` fit learns the statistics anew, from its own
        rows, unless ``new_categories="grow"``.

        Values that `fit` has not seen stay unknown. With ``new_categories="grow"`` those seen `min_frequency` times get
        statistics, and a row of the tables, which is a copy of the unknown one.

        A step of which nothing is known where it could have happened is left out: of rows that are too young its rates
        would fall. From then on the model knows the labels of these rows, so it must not be judged by them any more.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        Y : array-like of shape (n_samples,) or (n_samples, n_columns)
            As in `fit`.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
            As in `partial_fit`, not scaled: 1 is what the mean row of `fit` counted. Of a target that was known of few
            rows in `fit` a label counted more there: see the guide on weights.
        y : default=None
            Another name of Y.

        Returns
        -------
        self : the estimator.

        Raises
        ------
        NotFittedError
            If it is not fitted.
        ValueError
            If it has no statistics of the targets, X or Y are not as in `fit`, or rows that are clearly of a whole log
            are given to a model of a sampled one (`negative_sampling_rate`).
        """
        check_is_fitted(self)
        self._validate_params()  # type: ignore[attr-defined]
        return self._learn_atomically(lambda copied, _: copied._count(X, one_of(Y, y), sample_weight))

    def _count(self, X: Any, Y: Any, sample_weight: Any) -> None:
        warn_of_orders(X=X, Y=Y, sample_weight=sample_weight)
        p: Any = self  # with all parameters
        X, growth = self._table(X), Growth(self._encoder, grows=p.new_categories == "grow")
        growth.update(X)
        encoder = growth.finish()  # with statistics of its own
        if encoder.statistics is None:
            if self._predictor.spec.get("target_statistics", "ordered") is None:
                why = "`target_statistics` was None. Fit with 'ordered'; a history has its own `update`."
            else:
                why = "no column had any. Name columns in `statistics_features`."
            raise ValueError(f"This {type(self).__name__} has no statistics of the targets: {why}")
        rows = encoder.main.encode(encoder.main_part(X))
        Y = as_pandas(Y)
        check_consistent_length(rows.codes, Y)
        parents = self.module_.link.parents
        targets = self._targets.encode(Y, sample_weight, parents, scale=False).without_young_steps(parents)
        names, shares = self._targets.names, encoder.statistics.known_shares(parents)
        warn_of_young_rows(targets.labels, targets.full_weights, names, parents, usual=shares)
        if (rate := self._predictor.spec.get("negative_sampling_rate", 1.0)) != 1:
            found, known = StepSums.from_targets(targets, parents), encoder.statistics
            train = known.rates_of_steps(parents), known.labels_of_steps(parents)
            refuse_unsampled(rate, parents, train, (found.rates(parents), found.n_labels), "these rows")
        encoder.statistics.add(rows.codes, targets)
        if encoder.main.n_rows > self._encoder.main.n_rows:
            net = making.resume_training(p, self.net_)
            making.grow(p, net, self._encoder, encoder)
            self.net_, self._predictor = net, Predictor(net.module_, str(net.device), net.spec_)
        self._encoder = encoder
