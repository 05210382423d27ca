"""Training algorithms to compare against, each in JAX and in PyTorch.

Every algorithm is a subpackage that is a submission folder: `submission_jax.py`,
`submission_pytorch.py` and `tuning_search_space.json`. It is registered in the entry point group
`algoperf.submissions`, under its name. Importing one imports no framework.
"""

__version__ = "0.2.0"
