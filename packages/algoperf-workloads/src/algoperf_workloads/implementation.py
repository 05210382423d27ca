"""One thing in both frameworks, named rather than imported."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

from algoperf_core.spec import Framework


@dataclass(frozen=True, kw_only=True)
class Implementation:
    """One thing in both frameworks.

    Args:
        jax: Reference `"module:attribute"` of the JAX form.
        pytorch: Reference `"module:attribute"` of the PyTorch form.
    """

    jax: str
    pytorch: str

    def load(self, framework: Framework) -> Any:
        """Imports the form for a framework."""
        reference = self.jax if framework == "jax" else self.pytorch
        return EntryPoint(name="implementation", value=reference, group="algoperf").load()
