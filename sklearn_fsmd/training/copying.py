"""Deep copies of the attributes that training changes."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn


def copy_together(attributes: Mapping[str, Any], shared: Collection[str] = ()) -> dict[str, Any]:
    """Copy the attributes of a net deeply and together, so that they refer to each other as before.

    Two things differ from :func:`copy.deepcopy`. Hooks are the user's code: the copy calls the same ones, and does not
    copy all that they refer to. And an optimizer is copied with all of its attributes, of which torch would copy three.

    Parameters
    ----------
    shared : the attributes that are not copied.

    Raises
    ------
    TypeError
        If an attribute cannot be copied; the message names it.
    """
    memo: dict[int, Any] = {}
    owners = [module for value in attributes.values() if isinstance(value, nn.Module) for module in value.modules()]
    optimizers = [value for value in attributes.values() if isinstance(value, torch.optim.Optimizer)]
    for owner in (*owners, *optimizers):
        for name, hooks in vars(owner).items():
            if "hooks" in name and isinstance(hooks, dict):
                memo[id(hooks)] = copy.copy(hooks)
    copies = {}
    # Modules come first, since other attributes refer to them.
    modules = [name for name, value in attributes.items() if isinstance(value, nn.Module)]
    for name in (*modules, *(name for name in attributes if name not in modules)):
        value = attributes[name]
        try:
            if name in shared:
                copies[name] = value
            elif isinstance(value, torch.optim.Optimizer):
                copies[name] = _copy_optimizer(value, memo)
            else:
                copies[name] = copy.deepcopy(value, memo)
        except Exception as error:
            raise TypeError(
                f"Continued training works on a copy of the net, and its {name!r} cannot be copied: {error}. Give the "
                "object that holds it a __deepcopy__, or fit from scratch."
            ) from error
    return {name: copies[name] for name in attributes}


def _copy_optimizer(optimizer: torch.optim.Optimizer, memo: dict[int, Any]) -> torch.optim.Optimizer:
    copied = object.__new__(type(optimizer))
    memo[id(optimizer)] = copied
    for name, value in vars(optimizer).items():
        is_wrapped_method = callable(value) and hasattr(type(optimizer), name)  # schedulers wrap `step`
        if not is_wrapped_method:
            copied.__dict__[name] = copy.deepcopy(value, memo)
    return copied
