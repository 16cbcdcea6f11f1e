"""The named models: each fixes the low-order part, the extractor and the link.

They do not have the parameters that only other parts read.
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypeVar, dataclass_transform

from sklearn_fsmd.estimators.classifier import MultiTaskClassifier
from sklearn_fsmd.parameters import EXTRACTORS, LOW_ORDER, estimator

T = TypeVar("T", bound=MultiTaskClassifier)

OF_STEPS = {"chain_loss"}
"""Parameters that have an effect only if a target is a step after another one."""


@dataclass_transform(kw_only_default=True, eq_default=False)
def model(cls: type[T]) -> type[T]:
    """Make an estimator with fixed parts, without the parameters that these parts do not read."""
    unused = EXTRACTORS.unused(cls.extractor) | LOW_ORDER.unused(cls.low_order)
    for name in unused | OF_STEPS if cls.link == "independent" else unused:
        if name not in cls.__annotations__:
            cls.__annotations__[name] = ClassVar  # makes it a constant of the class instead of a field
            setattr(cls, name, getattr(cls, name))
    return estimator(cls)


@model
class SingleTaskClassifier(MultiTaskClassifier):
    """A network per task that shares nothing, not even embeddings: the baseline of multi-task learning."""

    low_order: ClassVar = None
    extractor: ClassVar = "separate"
    link: ClassVar = "independent"


@model
class WideDeepClassifier(MultiTaskClassifier):
    """Wide & Deep, a network per task: first-order terms added to an MLP [1]_.

    References
    ----------
    .. [1] H.-T. Cheng et al., "Wide & Deep Learning for Recommender Systems", DLRS 2016.
    """

    low_order: ClassVar = "linear"
    extractor: ClassVar = "separate"
    link: ClassVar = "independent"


@model
class DeepFMClassifier(MultiTaskClassifier):
    """DeepFM, a network per task: a factorization machine and an MLP on the same embeddings [1]_.

    References
    ----------
    .. [1] H. Guo et al., "DeepFM: A Factorization-Machine based Neural Network for CTR Prediction", IJCAI 2017.
    """

    low_order: ClassVar = "fm"
    extractor: ClassVar = "separate"
    link: ClassVar = "independent"


@model
class SharedBottomClassifier(MultiTaskClassifier):
    """Shared-Bottom: one MLP shared by all tasks, and a tower per task [1]_.

    References
    ----------
    .. [1] R. Caruana, "Multitask Learning", in Learning to Learn, Springer 1998.
    """

    low_order: ClassVar = None
    extractor: ClassVar = "shared_bottom"
    link: ClassVar = "independent"


@model
class ESMMClassifier(MultiTaskClassifier):
    """ESMM: an MLP per task on shared embeddings, trained on all impressions through pCTCVR = pCTR · pCVR [1]_.

    References
    ----------
    .. [1] X. Ma et al., "Entire Space Multi-Task Model: An Effective Approach for Estimating Post-Click Conversion
       Rate", SIGIR 2018.
    """

    low_order: ClassVar = None
    extractor: ClassVar = "shared_embedding"
    link: ClassVar = "chain"
    chain_loss: Literal["entire_space", "likelihood", "both"] = "entire_space"


@model
class MMoEClassifier(MultiTaskClassifier):
    """MMoE: experts shared by all tasks, mixed by a gate per task [1]_.

    References
    ----------
    .. [1] J. Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts",
       KDD 2018.
    """

    low_order: ClassVar = None
    extractor: ClassVar = "mmoe"
    link: ClassVar = "independent"


@model
class PLEClassifier(MultiTaskClassifier):
    """PLE: levels of shared and task-specific experts [1]_; CGC with a single level.

    References
    ----------
    .. [1] H. Tang et al., "Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model for
       Personalized Recommendations", RecSys 2020.
    """

    low_order: ClassVar = None
    extractor: ClassVar = "ple"
    link: ClassVar = "independent"


@model
class BaseMTL(MultiTaskClassifier):
    """The base model of the FSMD paper: a factorization machine and a shared bottom (its Fig. 4)."""

    low_order: ClassVar = "fm"
    extractor: ClassVar = "shared_bottom"
    link: ClassVar = "independent"


@model
class FGClassifier(MultiTaskClassifier):
    """FM and gates: a factorization machine and MMoE with MLP gates (Fig. 7 of the FSMD paper)."""

    low_order: ClassVar = "fm"
    extractor: ClassVar = "mmoe"
    link: ClassVar = "independent"
    gate_dims: tuple[int, ...] = (64,)


@model
class FSClassifier(MultiTaskClassifier):
    """FM and shared experts: a factorization machine and PLE (Fig. 8 of the FSMD paper)."""

    low_order: ClassVar = "fm"
    extractor: ClassVar = "ple"
    link: ClassVar = "independent"


@model
class FSMDClassifier(MultiTaskClassifier):
    """FSMD, the model of the paper: a factorization machine, PLE, and the chain of ESMM (its Figs. 3 and 9).

    ``FSMDClassifier(chain_loss="entire_space", fm_scale=1.0, target_statistics=None)`` has the loss of the paper,
    Eq. (11), its factorization machine and no target statistics. All settings of the paper are in
    ``benchmarks/paper/settings.py``.
    """

    low_order: ClassVar = "fm"
    extractor: ClassVar = "ple"
    link: ClassVar = "chain"
