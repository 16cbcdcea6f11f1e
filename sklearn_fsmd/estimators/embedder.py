"""DenoisingEmbedder: a transformer that returns the embeddings of a denoising autoencoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from sklearn_fsmd.encoding.columns import column_names
from sklearn_fsmd.encoding.table import FeatureEncoder, read_table
from sklearn_fsmd.estimators.atomic import AtomicEstimator, generator_of, on_snapshot
from sklearn_fsmd.estimators.tags import TakesTables
from sklearn_fsmd.parameters import TableParameters, checks_parameters, estimator
from sklearn_fsmd.parameters.machine import draw_seed, resolve_device, threads
from sklearn_fsmd.persistence import Saving
from sklearn_fsmd.training import pretrain


@estimator
class DenoisingEmbedder(AtomicEstimator, Saving, TakesTables, TransformerMixin, TableParameters, BaseEstimator):
    """Encode a table of categories and numbers as numeric features, learned without a target.

    A denoising autoencoder reads rows in which some values were swapped with those of other rows, and is trained to
    predict the original values. Values that occur with the same values of other columns get similar embeddings. A row
    becomes the concatenation of the embeddings of its values and its scaled numbers. That of an unseen value is not
    trained, and near 0.

    Parameters
    ----------
    n_epochs : int, default=10
        Passes over the rows.
    noise : float, default=0.2
        Share of the values that are swapped, and the standard deviation of the noise that is added to scaled numbers.

    Attributes
    ----------
    embeddings_ : ndarray of shape (n_values, embedding_dim)
        The embeddings of all values, column by column.
    n_features_in_ : int
        Number of columns of X in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X. Defined only if all of them are strings.

    See Also
    --------
    MultiTaskClassifier : does the same before training, by `pretrain_epochs`, `pretrain_features` and `pretrain_noise`.

    Examples
    --------
    >>> from sklearn_fsmd import DenoisingEmbedder
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> X, _ = make_funnel(500, random_state=0, return_X_y=True)
    >>> DenoisingEmbedder(embedding_dim=4, n_epochs=2, random_state=0).fit_transform(X).shape
    (500, 39)
    """

    n_epochs: int = 10
    noise: float = 0.2

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_epochs": [Interval(Integral, 1, None, closed="left")],
        "noise": [Interval(Real, 0, 1, closed="neither")],
    }

    @checks_parameters
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the embeddings.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        y : ignored

        Returns
        -------
        self : the fitted transformer.
        """
        return self._learn_atomically(lambda copied, user_generator: copied._read_and_train(user_generator, X))

    def _read_and_train(self, user_generator: np.random.RandomState | None, X: Any) -> np.random.RandomState | None:
        X = read_table(self, X, reset=True)
        encoder = FeatureEncoder.from_params(self)
        rows = encoder.fit_encode(X)
        name, count = Counter(_names_out(encoder, self.embedding_dim, column_names(X))).most_common(1)[0]
        if count > 1:
            raise ValueError(f"The result would have {count} columns named {name!r}. Rename a column of X.")
        with threads(self.n_threads):
            learned = pretrain(
                encoder,
                rows,
                np.ones(X.shape[1], dtype=bool),
                dim=self.embedding_dim,
                epochs=self.n_epochs,
                noise=self.noise,
                device=resolve_device(self.device),
                seed=draw_seed(generator_of(self.random_state, user_generator)),
                verbose=self.verbose,
            )
        self.embeddings_ = learned.vectors.numpy()
        self._encoder: FeatureEncoder = encoder
        return user_generator

    @on_snapshot
    def transform(self, X: Any) -> np.ndarray:
        """Embed the rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        vectors : ndarray of shape (n_samples, n_features_out), float32
        """
        check_is_fitted(self)
        rows = self._encoder.encode(read_table(self, X, reset=False))
        vectors = self.embeddings_[rows.codes].reshape(len(rows), -1)
        return np.concatenate([vectors, rows.numbers], axis=1)

    @on_snapshot
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the output columns: city_0, city_1, … for a category, price_bin_0, … and price for a number.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of X, if X has none.

        Returns
        -------
        names : ndarray of str

        Raises
        ------
        ValueError
            If X has names and `input_features` differs from them, or if it has not one name per column.
        """
        check_is_fitted(self)
        names_in = _check_feature_names_in(self, input_features)
        return np.array(_names_out(self._encoder, self.embeddings_.shape[1], names_in), dtype=object)


def _names_out(encoder: FeatureEncoder, dim: int, names: Sequence[Any]) -> list[str]:
    """Names of the output columns, for embeddings of `dim` components and the columns `names` of X."""
    numbers = [str(names[position]) for position in encoder.numeric]
    coded = [str(names[position]) for position in encoder.categories]
    coded += [f"{name}_bin" for name in numbers] if encoder.numeric_bins else []
    return [f"{name}_{d}" for name in coded for d in range(dim)] + numbers
