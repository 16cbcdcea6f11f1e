"""A model card: what a fitted model is, how good it is for whom, and what it must not be used for."""

from sklearn_fsmd.export.card.model_card import model_card

__all__ = ["model_card"]
