"""Copies of what training touches, as deep as it touches it."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn


def copied(attributes: Mapping[str, Any], shared: Collection[str] = ()) -> dict[str, Any]:
    """A deep copy of the attributes of a net, in which what belongs together still does.

    Two things differ from :func:`copy.deepcopy`. Hooks are code of somebody, and are called from the copy as they are,
    not copied with all that they refer to. And an optimizer is copied with all of its attributes, where torch's own way
    keeps three of them.

    Parameters
    ----------
    shared : the attributes that are taken over as they are.

    Raises
    ------
    TypeError
        If a part cannot be copied, by its name.
    """
    known: dict[int, Any] = {}
    owners = [module for value in attributes.values() if isinstance(value, nn.Module) for module in value.modules()]
    optimizers = [value for value in attributes.values() if isinstance(value, torch.optim.Optimizer)]
    for owner in (*owners, *optimizers):
        for name, hooks in vars(owner).items():
            if "hooks" in name and isinstance(hooks, dict):
                known[id(hooks)] = copy.copy(hooks)
    made = {}
    first = [name for name, value in attributes.items() if isinstance(value, nn.Module)]  # then what refers to these
    for name in (*first, *(name for name in attributes if name not in first)):
        value = attributes[name]
        try:
            if name in shared:
                made[name] = value
            elif isinstance(value, torch.optim.Optimizer):
                made[name] = _optimizer(value, known)
            else:
                made[name] = copy.deepcopy(value, known)
        except Exception as error:
            raise TypeError(
                f"Training that goes on works on a copy of the net, and its {name!r} cannot be copied: {error}. Give "
                "what holds it a __deepcopy__, or fit anew."
            ) from error
    return {name: made[name] for name in attributes}


def _optimizer(optimizer: torch.optim.Optimizer, known: dict[int, Any]) -> torch.optim.Optimizer:
    made = object.__new__(type(optimizer))
    known[id(optimizer)] = made
    for name, value in vars(optimizer).items():
        if not (
            callable(value) and hasattr(type(optimizer), name)
        ):  # a schedule wraps `step`, and calls the former one
            made.__dict__[name] = copy.deepcopy(value, known)
    return made
