"""Run training algorithms under an exact clock.

`spec` holds the vocabulary of submissions and workloads; `from_optax` and `from_torch` make a
submission out of an optimizer. Importing this package imports no framework.
"""

from typing import TYPE_CHECKING, Any

from algoperf_core import spec
from algoperf_core.averaging import ema, latest, uniform
from algoperf_core.submission import Submission
from algoperf_core.weight_decay import decay_groups, decay_mask

if TYPE_CHECKING:
    from algoperf_core.optax_submission import from_optax
    from algoperf_core.torch_submission import from_torch

__version__ = "0.4.0"
__all__ = [
    "Submission",
    "decay_groups",
    "decay_mask",
    "ema",
    "from_optax",
    "from_torch",
    "latest",
    "spec",
    "uniform",
]

_FRAMEWORK_PARTS = {"from_optax": "optax_submission", "from_torch": "torch_submission"}


def __getattr__(name: str) -> Any:
    # The two builders import their framework, so they are loaded when they are asked for.
    if name in _FRAMEWORK_PARTS:
        from importlib import import_module

        return getattr(import_module(f"algoperf_core.{_FRAMEWORK_PARTS[name]}"), name)
    raise AttributeError(f"module 'algoperf_core' has no attribute {name!r}")
