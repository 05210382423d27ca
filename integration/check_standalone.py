"""Run in an environment that holds one wheel and what it needs: imports it, and checks what came along.

python check_standalone.py PACKAGE ALLOWED_SIBLING ...
"""

import sys
from importlib import import_module
from importlib.metadata import distributions

FRAMEWORKS = {"jax", "jaxlib", "flax", "optax", "torch", "tensorflow", "torchvision"}


def main(package: str, *allowed: str) -> None:
    module = import_module(package.replace("-", "_"))
    installed = {distribution.name for distribution in distributions()}
    strangers = {name for name in installed if name.startswith("algoperf-")} - set(allowed)
    frameworks = {name for name in FRAMEWORKS if name in installed or name in sys.modules}
    if strangers or frameworks:
        raise SystemExit(f"{package} brought along {sorted(strangers | frameworks)}")
    print(
        f"{package} {module.__version__}: imported, with {len(installed) - 1} other distributions"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
