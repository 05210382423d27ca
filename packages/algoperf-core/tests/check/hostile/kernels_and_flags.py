"""Looks for speed where none is to be gained."""

import ctypes  # caught: custom-kernels

import jax
import torch
import triton  # caught: custom-kernels
from torch.backends import cudnn
from torch.utils.cpp_extension import load_inline  # caught: custom-kernels

from .honest import data_selection, get_batch_size, init_optimizer_state, update_params

__all__ = ["data_selection", "get_batch_size", "init_optimizer_state", "update_params"]

cudnn.benchmark = True  # caught: compiler-flags
torch.backends.cuda.matmul.allow_tf32 = True  # caught: compiler-flags
torch.set_float32_matmul_precision("high")  # caught: compiler-flags
jax.config.update("jax_enable_x64", True)  # caught: compiler-flags
FAST = jax.jit(abs, compiler_options={"xla_cpu_enable_fast_math": True})  # caught: compiler-flags
KERNEL = load_inline("kernel", "")  # caught: custom-kernels
LIBRARY = ctypes.CDLL("libm.so")  # caught: custom-kernels
LAYER = torch.nn.Dropout(0.5)  # caught: added-layers
COMPILED = triton.jit(abs)  # caught: custom-kernels
