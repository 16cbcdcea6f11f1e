"""Bad parameters: each case raises an error that names the parameter, the value found and the values allowed."""

import re
from numbers import Integral

import numpy as np
import pytest
import torch
from sklearn.utils._param_validation import Interval, StrOptions, make_constraint
from skorch.callbacks import Callback
from torch import nn

from sklearn_fsmd import DenoisingEmbedder, FSMDClassifier, MultiTaskClassifier
from tests.cases import INF, NAN, cases, check, make_fitted, small
from tests.conftest import SMALL, make_frame


@pytest.fixture(scope="module")
def fitted():
    return make_fitted()


# --------------------------------------------------------------------------------------------------------- constraints


def invalid_values(constraints):
    """Values that none of the constraints allows: values of a wrong type and values just out of range."""
    candidates = [object(), "no such thing"]
    for constraint in constraints:
        if isinstance(constraint, Interval):
            step = 1 if constraint.type is Integral else 1e-9
            candidates += [] if constraint.left is None else [constraint.left, constraint.left - step, NAN]
            candidates += [] if constraint.right is None else [constraint.right, constraint.right + step]
            candidates += [constraint.left + 0.5] if constraint.type is Integral else [INF]
        elif isinstance(constraint, StrOptions):
            candidates += [min(constraint.options).upper(), ""]
    allowed = [make_constraint(constraint) for constraint in constraints]
    return [value for value in candidates if not any(c.is_satisfied_by(value) for c in allowed)]


PARAMETERS = [
    (cls, name, value)
    for cls in (FSMDClassifier, MultiTaskClassifier, DenoisingEmbedder)
    for name, constraints in cls._parameter_constraints.items()
    if cls is FSMDClassifier or name not in FSMDClassifier._parameter_constraints
    for value in invalid_values(constraints)
]


def test_every_parameter_refuses_some_value():
    names = {*MultiTaskClassifier().get_params(), *DenoisingEmbedder().get_params()}
    assert {name for _, name, _ in PARAMETERS} == names


@pytest.mark.parametrize(("cls", "name", "value"), PARAMETERS, ids=lambda v: v if isinstance(v, str) else None)
def test_values_outside_the_constraints_are_refused(cls, name, value, fitted):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of {cls.__name__} must be .* Got ") as error:
        cls(**{name: value}).fit(fitted.X, fitted.Y)
    assert str(error.value).endswith(f"Got {value!r} instead.")


def test_partial_fit_checks_parameters_too(fitted):
    with pytest.raises(ValueError, match="The 'lr' parameter of FSMDClassifier must be a float in the range"):
        small(lr=-3).partial_fit(fitted.X, fitted.Y)


@pytest.mark.parametrize("name", ["expert_dims", "tower_dims", "gate_dims", "bias_tower_dims"])
@pytest.mark.parametrize(
    "widths", [(16, 0), (-1,), (1.5,), (16.0,), ("16",), ((3,),), (True,), (None,), [NAN]], ids=str
)
def test_bad_layer_widths_are_refused(name, widths, fitted):
    must = f"The {name!r} parameter of FSMDClassifier must be a tuple of int in the range [1, inf)."
    with pytest.raises(ValueError, match=re.escape(f"{must} Got {widths!r} instead.")):
        small(**{name: widths}).fit(fitted.X, fitted.Y)


# ----------------------------------------------------------------- parameters that depend on the data or on each other


def wrong(text, **params):
    """Parameters and the ValueError that they must raise."""
    return params, ValueError, text


def task_weights(value):
    text = "The 'task_weights' parameter must be 2 numbers, one per task, not negative and not all zero. Got"
    return wrong(f"{text} {value!r} instead.", task_weights=value)


def device(name):
    return wrong(f"The 'device' parameter {name!r} cannot be used here: …", device=name)


def reserved(name):
    return wrong(f"'net_params' parameter cannot set {name!r}; use the parameters of the est", net_params={name: None})


SELECTIONS = ("categorical_features", "bias_features", "pretrain_features")


def selections(id_, value, text):
    return [
        (f"{name}, {id_}", {name: value, "pretrain_epochs": 1}, ValueError, f"{name} {text}") for name in SELECTIONS
    ]


NO_NAME = (
    "has an item value 'town' which is not a valid feature name of the training data. Observed feature names: ['user'"
)
NO_INDEX = "set as integer indices must be in [0, n_features - 1], got index:"
NO_TYPE = "must be an array-like of bool, int or str, got:"
ABSENT = "mps" if torch.cuda.is_available() else "cuda"  # no machine has both
ALL, PRICE = ["user", "city", "member", "price", "visits"], ["price"]


@cases(
    ("one weight", *task_weights((1.0,))),
    ("three weights", *task_weights((1, 2, 3))),
    ("a negative weight", *task_weights((1, -1))),
    ("NaN as a weight", *task_weights((NAN, 1))),
    ("inf as a weight", *task_weights((INF, 1))),
    ("no weight", *task_weights((0, 0))),
    ("words as weights", *task_weights(("a", "b"))),
    ("digits as weights", *task_weights(("1", "2"))),
    ("nested weights", *task_weights([[1, 2]])),
    ("weights by name", *wrong("takes numbers in the order of the targets, and no names", task_weights={"click": 1})),
    *selections("name", ["town"], NO_NAME),
    *selections("index", [9], f"{NO_INDEX} 9"),
    *selections("negative index", [-1], f"{NO_INDEX} -1"),
    *selections("short mask", [True], "set as a boolean mask must have shape (n_features,), got: (1,)"),
    *selections("floats", [1.0], f"{NO_TYPE} float64."),
    *selections("nested", [[0, 1]], f"{NO_TYPE} int64."),
    *selections("set", {"city"}, f"{NO_TYPE} object."),
    *selections("callable", lambda X: ["town"], NO_NAME),
    ("wrong word", *wrong("must be 'from_dtype', 'all'…Got 'most' instead", categorical_features=lambda X: "most")),
    (
        "all are bias features",
        *wrong("All columns of X are 'bias_features', which leaves none for the net", bias_features=ALL),
    ),
    ("no bias feature", *wrong("The 'bias_features' parameter [] names no column.", bias_features=[])),
    ("no pretrained feature", *wrong("The 'pretrain_features' parameter [] names no column.", pretrain_features=[])),
    (
        "bias and pretrained",
        *wrong("'price' is one of the 'bias_features', which", bias_features=PRICE, pretrain_features=PRICE),
    ),
    ("unknown device", *device("abacus")),
    ("no such GPU", *device("cuda:77")),
    ("absent device", *device(ABSENT)),
    ("meta device", *device("meta")),
    ("empty device", *device("")),
    ("not an optimizer", *wrong("must be a subclass of torch.optim.Optimizer. Got <class 'int'>", optimizer=int)),
    (
        "sparse tables with sgd",
        *wrong("needs the optimizer 'adam' or 'adamw'", embedding_optimizer="sparse", optimizer="sgd"),
    ),
    ("lr is reserved", *reserved("lr")),
    ("device is reserved", *reserved("device")),
    ("optimizer__lr is reserved", *reserved("optimizer__lr")),
    ("module options are reserved", *reserved("module__link")),
    ("iterator options are reserved", *reserved("iterator_train__shuffle")),
    (
        "not a callback",
        {"callbacks": [3]},
        TypeError,
        "'callbacks' parameter must be a list of skorch callbacks. Got 3 in",
    ),
    ("unknown net parameter", *wrong("got unexpected argument(s) nope", net_params={"nope": 1})),
    (
        "unknown metric",
        *wrong("The 'validation_metric' parameter must be one of ['auto'…Got 'clicks'", validation_metric="clicks"),
    ),
    (
        "statistics of an unknown column",
        *wrong(f"statistics_features {NO_NAME}", target_statistics=None, statistics_features=["town"]),
    ),
    (
        "statistics of a number",
        *wrong("has the column 'price', which is not", target_statistics=None, statistics_features=["price"]),
    ),
    ("few rows", *wrong("'validation_fraction' 0.001 of 120 rows", early_stopping=True, validation_fraction=1e-3)),
)
def test_parameters_that_do_not_fit_the_data_are_refused(case, fitted):
    check(case, lambda: small(**case.action).fit(fitted.X, fitted.Y))


# --------------------------------------------------------------------------------------------------- link and extractor


def link(value, text):
    return wrong(f"{text} {value!r}", link=value)


class CustomExtractor(nn.Module):
    """An extractor that applies `out` to one representation of shape (B, 4)."""

    def __init__(self, n_inputs, out):
        super().__init__()
        self.layer = nn.Linear(n_inputs, 4)
        self.out = out

    def forward(self, x):
        return self.out(self.layer(x))


def extractor(out, got):
    text = f"The 'extractor' must map (3, …) to one representation per task, (3, 2, H). Got the shape {got} instead."
    return wrong(text, extractor=lambda n_inputs, n_tasks: CustomExtractor(n_inputs, out))


NO_LINK = "The 'link' parameter of MultiTaskClassifier must be a str among {…}, an instance of 'tuple' or …Got 'tree'"
NO_PARENT = "The parent of task 1 in 'link' must be None or a task before it, 0 to 0. Got"
NO_EXTRACTOR = "The 'extractor' parameter of MultiTaskClassifier must be a str among {…} or a callable. Got"
NO_MODULE = (
    "The 'extractor', called with the numbers of inputs and of tasks, must return a torch module. Got 2 instead."
)


@cases(
    ("unknown", *wrong(NO_LINK, link="tree")),
    ("too short", *link((None,), "The 'link' parameter names the parents of 1 tasks, but Y has 2:")),
    ("too long", *link((None, 0, 1), "The 'link' parameter names the parents of 3 tasks, but Y has 2:")),
    ("a later task", *link((None, 2), f"{NO_PARENT} 2 in")),
    ("itself", *link((None, 1), f"{NO_PARENT} 1 in")),
    ("a negative index", *link((None, -1), f"{NO_PARENT} -1 in")),
    ("a parent of the first task", *link((0, None), "The parent of task 0 in 'link' must be None. Got 0 in")),
    ("a name", *link((None, "click"), f"{NO_PARENT} 'click' in")),
    ("a float", *link((None, 0.0), f"{NO_PARENT} 0.0 in")),
    ("a bool", *link((None, False), f"{NO_PARENT} False in")),
    ("extractor unknown", *wrong(f"{NO_EXTRACTOR} 'transformer' instead.", extractor="transformer")),
    ("extractor a number", *wrong(f"{NO_EXTRACTOR} 3 instead.", extractor=3)),
    ("not a module", {"extractor": lambda n_inputs, n_tasks: n_tasks}, TypeError, NO_MODULE),
    ("one representation for all tasks", *extractor(lambda h: h, "(3, 4)")),
    ("three tasks", *extractor(lambda h: torch.stack([h] * 3, dim=1), "(3, 3, 4)")),
    ("list of three tasks", *extractor(lambda h: [h] * 3, "(3, 3, 4)")),
    ("two widths", *extractor(lambda h: [h, h[:, :2]], "[(3, 4), (3, 2)]")),
    ("no width", *extractor(lambda h: torch.stack([h, h], dim=1)[:, :, :0], "(3, 2, 0)")),
    ("None", *extractor(lambda h: None, "of a NoneType")),
    ("words", *extractor(lambda h: ["a", "b"], "of a list")),
)
def test_bad_links_and_extractors_are_refused(case, fitted):
    check(case, lambda: small(MultiTaskClassifier, **case.action).fit(fitted.X, fitted.Y))


# --------------------------------------------------------------------------------------------------------- divergence


class Spoil(Callback):
    """Set weights to infinity before each batch."""

    def on_batch_begin(self, net, **kwargs):
        with torch.no_grad():
            net.module_.towers.output.weight.fill_(INF)


def diverged(batch=1, lr=0.01, **params):
    text = f"The loss became nan in batch {batch} of epoch 1 with lr={lr}. Lower `lr`, or clip the gradients"
    return params, FloatingPointError, text


@cases(
    ("sgd", {"optimizer": "sgd", "lr": 1e30}, *diverged(batch=2, lr="1e+30")[1:]),
    ("adamw", {"lr": 1e30}, *diverged(batch=2, lr="1e+30")[1:]),
    ("last step", {"lr": 1e30, "batch_size": 120, "batch_norm": False}, *diverged(lr="1e+30")[1:]),
    ("embeddings", *diverged(embedding_std=1e30)),
    ("weights", *diverged(callbacks=[Spoil()])),
    ("with validation", *diverged(callbacks=[Spoil()], early_stopping=True)),
    ("uncertainty", *diverged(callbacks=[Spoil()], task_weighting="uncertainty")),
    ("pcgrad", *diverged(callbacks=[Spoil()], task_weighting="pcgrad")),
    ("gradnorm", *diverged(callbacks=[Spoil()], task_weighting="gradnorm")),
)
def test_a_loss_that_becomes_nan_stops_training_with_an_error(case, fitted):
    check(case, lambda: small(**case.action).fit(fitted.X, fitted.Y))


@pytest.mark.parametrize("chain_loss", ["entire_space", "both"])
def test_a_chain_loss_is_refused_without_a_chain(chain_loss, frame):
    X, Y = frame
    message = f"chain_loss='{chain_loss}' is for targets that are steps after others, and here none is"
    with pytest.raises(ValueError, match=message + ": there are 2, with link='independent'"):
        MultiTaskClassifier(**SMALL, link="independent", chain_loss=chain_loss).fit(X, Y)
    with pytest.raises(ValueError, match=message + ": there is one target, with link='chain'"):
        FSMDClassifier(**SMALL, chain_loss=chain_loss).fit(X, Y["click"])
    with pytest.raises(ValueError, match="'chain_loss' parameter of FSMDClassifier must be a str among"):
        FSMDClassifier(**SMALL, chain_loss="whole").fit(X, Y)


def test_weight_decay_is_refused_if_the_optimizer_has_none():
    X, Y = make_frame(100)
    model = FSMDClassifier(**SMALL, optimizer=torch.optim.Rprop, weight_decay=0.1)
    with pytest.raises(ValueError, match="weight_decay=0.1 has no effect: Rprop has none"):
        model.fit(X, Y)
    model.set_params(weight_decay=0.0).fit(X, Y)


def test_an_ambiguous_validation_metric_is_refused():
    X, Y = make_frame(100)
    Y = Y.rename(columns={"click": "mean"})
    FSMDClassifier(**SMALL).fit(X, Y)
    with pytest.raises(ValueError, match="validation_metric='mean_auc' means all tasks, and is the AUC of one"):
        FSMDClassifier(**SMALL, validation_metric="mean_auc").fit(X, Y)


def test_callbacks_may_be_an_array():
    X, Y = make_frame(100)
    callbacks = np.empty(2, dtype=object)
    callbacks[:] = [Callback(), Callback()]
    FSMDClassifier(**SMALL, callbacks=callbacks).fit(X, Y)
    with pytest.raises(ValueError, match="`checkpoint` and `callbacks` do not go together"):
        FSMDClassifier(**SMALL, callbacks=callbacks, checkpoint="file").fit(X, Y)
