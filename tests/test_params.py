"""The parameters of the models, and the decorator that declares them."""

import inspect
import pickle
from typing import ClassVar, Literal

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

from sklearn_fsmd import (
    BaseMTL,
    DeepFMClassifier,
    ESMMClassifier,
    FGClassifier,
    FSClassifier,
    FSMDClassifier,
    MMoEClassifier,
    MultiTaskClassifier,
    PLEClassifier,
    SharedBottomClassifier,
    SingleTaskClassifier,
    WideDeepClassifier,
)
from sklearn_fsmd.parameters.declare import estimator, merge_docs
from tests.test_estimator_checks import CLASSES


@pytest.mark.parametrize("cls", CLASSES)
def test_signature_constraints_and_documentation_name_the_same_parameters(cls):
    signature = inspect.signature(cls)
    names = set(signature.parameters)
    assert names == set(cls().get_params()) == set(cls._parameter_constraints)
    documented = cls.__doc__.split("Parameters\n----------\n")[1].split("\n\nAttributes\n")[0]
    headers = [line.split(" : ") for line in documented.splitlines() if line and not line.startswith(" ")]
    assert {name for name, _ in headers} == names
    for name, text in headers:
        if "default=" in text:
            default = text.split("default=")[1].replace('"', "'")
            value = signature.parameters[name].default
            assert default == repr(value) or float(default) == value, name
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in signature.parameters.values())


def test_a_named_model_fixes_low_order_extractor_and_link():
    fixed = set(MultiTaskClassifier().get_params()) - set(FSMDClassifier().get_params())
    assert fixed == {"low_order", "extractor", "link", "n_experts"}
    assert (FSMDClassifier().low_order, FSMDClassifier().extractor, FSMDClassifier().link) == ("fm", "ple", "chain")
    with pytest.raises(TypeError, match="unexpected keyword argument 'link'"):
        FSMDClassifier(link="independent")


PLE_PARAMS, MMOE_PARAMS, CHAIN_PARAMS = (
    {"n_task_experts", "n_shared_experts", "n_levels"},
    {"n_experts"},
    {"chain_loss"},
)
REGRESSION = "logistic_regression"
FM_PARAMS = {"fm_sharing", "fm_scale"}
UNUSED_PARAMS = {
    BaseMTL: {*PLE_PARAMS, *MMOE_PARAMS, "gate_dims", *CHAIN_PARAMS},
    DeepFMClassifier: {*PLE_PARAMS, *MMOE_PARAMS, "gate_dims", *CHAIN_PARAMS},
    ESMMClassifier: {*PLE_PARAMS, *MMOE_PARAMS, "gate_dims", *FM_PARAMS, REGRESSION},
    FGClassifier: {*PLE_PARAMS, *CHAIN_PARAMS},
    FSClassifier: {*MMOE_PARAMS, *CHAIN_PARAMS},
    FSMDClassifier: MMOE_PARAMS,
    MMoEClassifier: {*PLE_PARAMS, *FM_PARAMS, REGRESSION, *CHAIN_PARAMS},
    PLEClassifier: {*MMOE_PARAMS, *FM_PARAMS, REGRESSION, *CHAIN_PARAMS},
    SharedBottomClassifier: {*PLE_PARAMS, *MMOE_PARAMS, "gate_dims", *FM_PARAMS, REGRESSION, *CHAIN_PARAMS},
    SingleTaskClassifier: {*PLE_PARAMS, *MMOE_PARAMS, "gate_dims", *FM_PARAMS, REGRESSION, *CHAIN_PARAMS},
    WideDeepClassifier: {*PLE_PARAMS, *MMOE_PARAMS, "gate_dims", *FM_PARAMS, *CHAIN_PARAMS},
}


@pytest.mark.parametrize("cls", UNUSED_PARAMS)
def test_classes_do_not_have_parameters_that_they_do_not_use(cls):
    missing = set(MultiTaskClassifier().get_params()) - set(cls().get_params()) - {"low_order", "extractor", "link"}
    assert missing == UNUSED_PARAMS[cls]
    for name in missing:
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
            cls(**{name: 2})
        assert f"\n{name} : " not in cls.__doc__


def test_a_class_can_change_a_default():
    assert FGClassifier().gate_dims == (64,)
    assert inspect.signature(FGClassifier).parameters["gate_dims"].default == (64,)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_named_model_equals_the_general_one_with_its_three_parts(cls, frame):
    from tests.conftest import SMALL, supported

    X, Y = frame
    named = cls(**supported(cls, SMALL))
    parts = {name: getattr(named, name) for name in ("low_order", "extractor", "link")}
    general = MultiTaskClassifier(**{**named.get_params(), **parts})
    expected = general.fit(X, Y).predict_marginals(X)
    np.testing.assert_array_equal(named.fit(X, Y).predict_marginals(X), expected)


def test_repr_and_clone():
    model = FSMDClassifier(lr=0.01, n_levels=2)
    assert repr(model) == "FSMDClassifier(lr=0.01, n_levels=2)"
    assert clone(model).get_params() == model.get_params()
    assert pickle.loads(pickle.dumps(model)).get_params() == model.get_params()


def test_docstrings_of_subclasses_are_merged_by_section():
    @estimator
    class Parent(BaseEstimator):
        """A parent.

        Parameters
        ----------
        a : int, default=1
            The first.

            Still the first.
        b : int, default=2
            The second.

        Attributes
        ----------
        c_ : int

        Examples
        --------
        >>> Parent().b
        2
        """

        a: int = 1
        b: int = 2
        _parameter_constraints: ClassVar[dict] = {"a": [int], "b": [int]}

    @estimator
    class Child(Parent):
        """A child.

        References
        ----------
        Somewhere.
        """

        a: ClassVar = 7

    assert Child().a == 7
    assert Child(b=3).get_params() == {"b": 3}
    assert Child._parameter_constraints == {"b": [int]}
    assert Child.__doc__ == (
        "A child.\n\nParameters\n----------\nb : int, default=2\n    The second.\n\n"
        "Attributes\n----------\nc_ : int\n\nExamples\n--------\n>>> Child().b\n2\n\n"
        "References\n----------\nSomewhere.\n"
    )


def test_a_docstring_without_sections_inherits_them():
    merged = merge_docs("Short.", "Long.\n\nParameters\n----------\na : int\n    One.\n", {"a"})
    assert merged == "Short.\n\nParameters\n----------\na : int\n    One.\n"


@pytest.mark.parametrize(
    ("annotation", "options", "none"),
    [
        (Literal["a", "b"], {"a", "b"}, False),
        (Literal["a", "b"] | None, {"a", "b"}, True),
        (Literal["a", None], {"a"}, True),
        ('Literal["a", "b"]', {"a", "b"}, False),
        ("typing.Literal['a', 'b'] | None", {"a", "b"}, True),
        ("None | Literal['a']", {"a"}, True),
        ("Optional[t.Literal['a']]", {"a"}, True),
    ],
)
def test_a_literal_type_becomes_a_constraint(annotation, options, none):
    @estimator
    class Chosen(BaseEstimator):
        """A model with options."""

        __annotations__: ClassVar = {"kind": annotation}
        kind = "a"

    for value in sorted(options) + [None] * none:
        Chosen(kind=value)._validate_params()
    for value in ["c", 1, *([] if none else [None])]:
        with pytest.raises(ValueError, match="The 'kind' parameter of Chosen must be a str among {"):
            Chosen(kind=value)._validate_params()


@pytest.mark.parametrize(
    "annotation", ["int | Literal['auto']", Literal[1, 2], "Literal[Color.RED]", "ClassVar[Literal['a']]", "Literal"]
)
def test_other_types_add_no_constraint(annotation):
    @estimator
    class Chosen(BaseEstimator):
        """A model with options."""

        __annotations__: ClassVar = {"kind": annotation}
        kind = "a"

    assert Chosen._parameter_constraints == {}


def test_an_explicit_constraint_overrides_the_type():
    @estimator
    class Chosen(BaseEstimator):
        """A model with options."""

        kind: Literal["a", "b"] = "a"
        _parameter_constraints: ClassVar[dict] = {"kind": [str]}

    @estimator
    class Narrower(Chosen):
        """A model with fewer options."""

        kind: Literal["a"] = "a"

    @estimator
    class Fixed(Chosen):
        """A model without options."""

        kind: ClassVar[str] = "a"

    Chosen(kind="c")._validate_params()
    with pytest.raises(ValueError, match="must be a str among {'a'}"):
        Narrower(kind="c")._validate_params()
    assert Fixed._parameter_constraints == {}
