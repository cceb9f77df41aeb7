"""needle: tensors, automatic differentiation and neural networks on OpenCL.

    import needle as ndl

    x = ndl.Tensor([[1.0, 2.0], [3.0, 4.0]])
    loss = ((x @ x).relu() ** 2).mean()
    loss.backward()
    print(x.grad)

Importing needle opens no device and prints nothing.
"""

from needle import autograd as autograd
from needle import data as data
from needle import init as init
from needle import nn as nn
from needle import ops as ops
from needle import optim as optim
from needle.array import *
from needle.autograd import *
from needle.backend.protocol import *
from needle.backend.registry import *
from needle.checkpointing import *
from needle.dtypes import *
from needle.errors import *
from needle.gradients import *
from needle.init import rand as rand
from needle.init import randn as randn
from needle.ops.creation import *
from needle.ops.functions import *
from needle.ops.random import *
from needle.profiling.profiler import *
from needle.profiling.rows import *
from needle.serialization import *
from needle.tensor import *

__version__ = "0.1.0"

bool = bool_

# The course's name.
TensorOp = Op
