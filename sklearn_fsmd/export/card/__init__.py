"""A model card of a fitted model: data, metrics of all rows and of segments, and limits."""

from sklearn_fsmd.export.card.model_card import model_card

__all__ = ["model_card"]
