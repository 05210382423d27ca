"""`algoperf.jax_sharding_utils`: placement over all local devices, under the published names."""

from algoperf_core.sharding import batch_sharded as get_batch_dim_sharding
from algoperf_core.sharding import replicate
from algoperf_core.sharding import replicated as get_replicate_sharding
from algoperf_core.sharding import shard_batch as shard_along_batch_dim

__all__ = ["get_batch_dim_sharding", "get_replicate_sharding", "replicate", "shard_along_batch_dim"]
