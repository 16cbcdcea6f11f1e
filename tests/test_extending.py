"""An extractor and a parameter can be added outside the library, without a change to its files."""

import copy
import pickle
import re
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import Interval
from torch import nn

from sklearn_fsmd import FSMDClassifier, MMoEClassifier, MultiTaskClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.network.values import VALUE_LOSSES
from sklearn_fsmd.parameters import EXTRACTORS, LOW_ORDER, estimator
from tests.conftest import SMALL


class Rotations(nn.Module):
    """A linear map per task."""

    def __init__(self, in_features, n_tasks, width):
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(in_features, width) for _ in range(n_tasks))

    def forward(self, x):
        return torch.stack([layer(x).tanh() for layer in self.maps], dim=1)


@pytest.fixture
def rotations():
    @EXTRACTORS.register("rotations")
    def build(p, in_features, n_tasks):
        return Rotations(in_features, n_tasks, p.expert_dims[-1])

    yield
    del EXTRACTORS.parts["rotations"]
    EXTRACTORS.names.remove("rotations")


@pytest.mark.usefixtures("rotations")
def test_a_registered_extractor_works_like_a_built_in_one(frame, tmp_path):
    X, Y = frame
    model = MultiTaskClassifier(extractor="rotations", **SMALL).fit(X, Y)
    assert isinstance(model.module_.extractor, Rotations)
    found = model.predict_marginals(X)
    model.save(tmp_path / "model.safetensors")
    for restored in (MultiTaskClassifier.load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(restored.predict_marginals(X), found)
    pretrained = MultiTaskClassifier(extractor="rotations", pretrain_epochs=1, **SMALL).fit(X, Y)
    assert np.isfinite(pretrained.predict_marginals(X)).all()
    search = GridSearchCV(model, {"extractor": ["rotations", "ple"]}, cv=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    with pytest.raises(ValueError, match="there is already a part named 'rotations'"):
        EXTRACTORS.register("rotations")(lambda *sizes: None)


class NamedLikeABias(nn.Module):
    """A low-order part whose tensors have no rows or columns per task."""

    def __init__(self, n_numbers):
        super().__init__()
        self.layer = nn.Linear(n_numbers, 1)

    def forward(self, x):
        return self.layer(x.numbers)


@pytest.fixture
def low_order_of_numbers():
    LOW_ORDER.register("numbers")(lambda p, columns, n_tasks, n_sets: NamedLikeABias(columns.n_numbers))
    yield
    del LOW_ORDER.parts["numbers"]
    LOW_ORDER.names.remove("numbers")


@pytest.mark.usefixtures("low_order_of_numbers")
def test_a_registered_low_order_part_beside_networks_of_their_own(frame):
    """The tensors of such a part cannot be told apart by task, so the tasks share their best check."""
    X, Y = frame
    params = SMALL | {"extractor": "separate", "low_order": "numbers", "link": "independent"}
    model = MultiTaskClassifier(**params).fit(X, Y, X_val=X[:100], Y_val=Y[:100])
    assert not model.module_.shares_nothing
    assert MultiTaskClassifier(**params | {"low_order": None}).fit(X, Y).module_.shares_nothing


def test_the_distribution_of_the_page_on_losses_can_be_trained(monkeypatch):
    page = (Path(__file__).parents[1] / "docs/contributing/loss.md").read_text()
    names = {}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], names)
    monkeypatch.setitem(VALUE_LOSSES, "poisson", names["Gamma"])
    X, Y = make_funnel(1000, watch_time=True, random_state=0, return_X_y=True)
    Y["watch_seconds"] = Y["watch_seconds"].clip(lower=1)
    values = {"value_targets": ["watch_seconds"], "value_parents": {"watch_seconds": "click"}, "value_loss": "poisson"}
    model = FSMDClassifier(**SMALL | values).fit(X, Y)
    assert isinstance(model.module_.values, names["Gamma"])
    assert (model.predict_values(X, conditional=True) > 0).all()


def test_an_unregistered_extractor_is_refused(frame):
    with pytest.raises(ValueError, match="The 'extractor' parameter of MultiTaskClassifier must be a str among"):
        MultiTaskClassifier(extractor="rotations").fit(*frame)


@estimator
class Noisy(FSMDClassifier):
    """FSMD whose predictions are shifted.

    Parameters
    ----------
    shift : float, default=0.0
        Added to every marginal.
    """

    shift: float = 0.0

    _parameter_constraints: ClassVar[dict[str, Any]] = {"shift": [Interval(Real, 0, 1, closed="both")]}

    def predict_marginals(self, X):
        return super().predict_marginals(X) + np.float32(self.shift)


class Undeclared(FSMDClassifier):
    patience = 64


class Fixed(FSMDClassifier):
    """Without the decorator, the parameter would not be fixed."""

    batch_norm: ClassVar[bool] = False


@estimator
class WithoutType(FSMDClassifier):
    patience = 64


@estimator
class Below(Undeclared):
    """The default that its parent sets has no effect either."""


class Mixin:
    patience = 64


@estimator
class Mixed(Mixin, FSMDClassifier):
    """The default that a mixin sets has no effect either."""


@estimator
class Declared(Undeclared):
    """A default with an effect replaces the one without an effect."""

    patience: int = 32


class Plain(FSMDClassifier):
    """A subclass that declares no parameter needs no decorator."""

    def hello(self):
        return self.patience


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Undeclared, "Undeclared sets the parameter 'patience' without declaring it"),
        (Fixed, "Fixed sets the parameter 'batch_norm'"),
        (WithoutType, "WithoutType sets the parameter 'patience'"),
        (Below, "Undeclared sets the parameter 'patience'"),
        (Mixed, "Mixin sets the parameter 'patience'"),
    ],
)
def test_a_default_without_effect_is_refused(cls, message):
    with pytest.raises(TypeError, match=message):
        cls()


def test_a_default_with_an_effect_is_accepted():
    assert Declared().patience == 32
    assert clone(Plain(patience=7)).hello() == 7


def test_a_declared_parameter_works_like_a_built_in_one(frame, tmp_path):
    X, Y = frame
    model = Noisy(**SMALL, shift=0.25)
    assert clone(model).get_params()["shift"] == 0.25
    assert "shift : float, default=0.0" in Noisy.__doc__
    assert "n_levels : int, default=1" in Noisy.__doc__
    model.fit(X, Y)
    plain = FSMDClassifier(**SMALL).fit(X, Y).predict_marginals(X)
    np.testing.assert_allclose(model.predict_marginals(X), plain + 0.25, atol=1e-6)
    model.save(tmp_path / "model.safetensors")
    assert FSMDClassifier.load(tmp_path / "model.safetensors").shift == 0.25
    with pytest.raises(ValueError, match=r"The 'shift' parameter of Noisy must be a float in the range \[0.0, 1.0\]"):
        Noisy(shift=2.0).fit(X, Y)
    with pytest.raises(TypeError, match="unexpected keyword argument 'shift'"):
        MMoEClassifier(shift=0.1)


def test_any_string_may_be_a_default():
    @estimator
    class Hive(FSMDClassifier):
        """Lists as Hive writes them."""

        list_separator: str | None = "\x02"

    assert r"list_separator : str or None, default='\x02'" in Hive.__doc__
    assert Hive().list_separator == "\x02"


class Short(FSMDClassifier):
    """A subclass whose own __init__ leaves most parameters to the class."""

    def __init__(self, max_epochs=2, random_state=0):
        self.max_epochs, self.random_state = max_epochs, random_state


def test_pickles_and_copies_keep_the_defaults_of_a_custom_init():
    for copied in (pickle.loads(pickle.dumps(Short())), copy.deepcopy(Short())):
        assert copied.get_params() == {"max_epochs": 2, "random_state": 0}
        for name, default in FSMDClassifier().get_params().items():
            assert getattr(copied, name) == getattr(Short(), name), (name, default)
