"""The modules that published submissions import, under the published names.

Such files begin with `from algoperf import spec`, older ones with `from algorithmic_efficiency import spec`.
While a submission is loaded these two names stand for this package, unless packages of these names are
installed. Only what submissions use is here: `spec`, `jax_sharding_utils`, `pytorch_utils`.
"""

import sys
from importlib.util import find_spec

from algoperf_core import spec

__all__ = ["install_aliases", "spec"]

PUBLISHED_PACKAGES = ("algoperf", "algorithmic_efficiency")


def install_aliases() -> None:
    """Makes the published package names importable, where nothing else has them."""
    for name in PUBLISHED_PACKAGES:
        if name not in sys.modules and find_spec(name) is None:
            sys.modules[name] = sys.modules[__name__]
            # Not a copy: enums and exceptions must be the harness's own objects.
            sys.modules[f"{name}.spec"] = spec
