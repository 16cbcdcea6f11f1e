"""Tests for a machine that has a GPU: ``make test-gpu``. Elsewhere they are not collected."""

import torch

collect_ignore = [] if torch.cuda.is_available() else ["test_cuda.py"]
