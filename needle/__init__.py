"""needle: tensors, automatic differentiation and neural networks on OpenCL.

    import needle as ndl

    x = ndl.Tensor([[1.0, 2.0], [3.0, 4.0]])
    loss = ((x @ x).relu() ** 2).mean()
    loss.backward()
    print(x.grad)

Importing needle opens no device and prints nothing.
"""

import sys as _sys
from contextlib import suppress as _suppress
from types import ModuleType as _ModuleType

from needle import autograd as autograd
from needle import data as data
from needle import init as init
from needle import namespace as namespace
from needle import nn as nn
from needle import ops as ops
from needle import optim as optim
from needle.array import *
from needle.autograd import *
from needle.backend.protocol import *
from needle.backend.registry import *
from needle.capturing import *
from needle.checkpointing import *
from needle.derivatives import hessian as hessian
from needle.derivatives import hvp as hvp
from needle.derivatives import jacobian as jacobian
from needle.derivatives import jvp as jvp
from needle.derivatives import vjp as vjp
from needle.dtypes import *
from needle.errors import *
from needle.gradients import *
from needle.init import rand as rand
from needle.init import randn as randn
from needle.interop.dlpack import *
from needle.ops import linalg as linalg
from needle.ops.constants import *
from needle.ops.creation import *
from needle.ops.functions import *
from needle.ops.inspection import *
from needle.ops.random import *
from needle.profiling.profiler import *
from needle.profiling.rows import *
from needle.sampling import *
from needle.serialization import *
from needle.tensor import *

__version__ = "0.1.0"

__array_api_version__ = namespace.ARRAY_API_VERSION
__array_namespace_info__ = namespace.ArrayNamespaceInfo

# PyTorch's names of dtypes, of which the first is the standard's as well.
bool = bool_
half, float, double, short, int, long = float16, float32, float64, int16, int32, int64


class _Callable(_ModuleType):
    """The package `needle.array`, which is NumPy's function `array` as well: `ndl.array([1.0, 2.0])`."""

    __call__ = staticmethod(tensor)


_sys.modules["needle.array"].__class__ = _Callable

with _suppress(ImportError):  # einops finds tensors by a class that this module declares
    from needle.interop import einops as _einops  # noqa: F401

# The course's name.
TensorOp = Op
