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
from needle.array import NDArray as NDArray
from needle.autograd import Op as Op
from needle.autograd import Value as Value
from needle.autograd import enable_grad as enable_grad
from needle.autograd import is_grad_enabled as is_grad_enabled
from needle.autograd import no_grad as no_grad
from needle.backend.protocol import Backend as Backend
from needle.backend.protocol import Device as Device
from needle.backend.protocol import DeviceInfo as DeviceInfo
from needle.backend.protocol import MemoryInfo as MemoryInfo
from needle.backend.registry import all_devices as all_devices
from needle.backend.registry import cpu as cpu
from needle.backend.registry import cuda as cuda
from needle.backend.registry import default_device as default_device
from needle.backend.registry import device as device
from needle.backend.registry import devices as devices
from needle.backend.registry import synchronize as synchronize
from needle.dtypes import bool_ as bool_
from needle.dtypes import float16 as float16
from needle.dtypes import float32 as float32
from needle.dtypes import float64 as float64
from needle.dtypes import int8 as int8
from needle.dtypes import int16 as int16
from needle.dtypes import int32 as int32
from needle.dtypes import int64 as int64
from needle.dtypes import uint8 as uint8
from needle.dtypes import uint16 as uint16
from needle.dtypes import uint32 as uint32
from needle.dtypes import uint64 as uint64
from needle.errors import DeviceError as DeviceError
from needle.errors import GraphError as GraphError
from needle.errors import KernelCompileError as KernelCompileError
from needle.errors import NeedleError as NeedleError
from needle.errors import OutOfMemoryError as OutOfMemoryError
from needle.gradients import grad as grad
from needle.gradients import gradcheck as gradcheck
from needle.gradients import value_and_grad as value_and_grad
from needle.init import rand as rand
from needle.init import randn as randn
from needle.ops import abs as abs
from needle.ops import acos as acos
from needle.ops import acosh as acosh
from needle.ops import add as add
from needle.ops import all as all
from needle.ops import any as any
from needle.ops import argmax as argmax
from needle.ops import argmin as argmin
from needle.ops import asin as asin
from needle.ops import asinh as asinh
from needle.ops import astype as astype
from needle.ops import atan as atan
from needle.ops import atan2 as atan2
from needle.ops import atanh as atanh
from needle.ops import bitwise_and as bitwise_and
from needle.ops import bitwise_invert as bitwise_invert
from needle.ops import bitwise_left_shift as bitwise_left_shift
from needle.ops import bitwise_or as bitwise_or
from needle.ops import bitwise_right_shift as bitwise_right_shift
from needle.ops import bitwise_xor as bitwise_xor
from needle.ops import broadcast_arrays as broadcast_arrays
from needle.ops import broadcast_to as broadcast_to
from needle.ops import ceil as ceil
from needle.ops import clip as clip
from needle.ops import concat as concat
from needle.ops import cos as cos
from needle.ops import cosh as cosh
from needle.ops import divide as divide
from needle.ops import equal as equal
from needle.ops import erf as erf
from needle.ops import exp as exp
from needle.ops import expand_dims as expand_dims
from needle.ops import expm1 as expm1
from needle.ops import flatten as flatten
from needle.ops import flip as flip
from needle.ops import floor as floor
from needle.ops import floor_divide as floor_divide
from needle.ops import gelu as gelu
from needle.ops import gelu_tanh as gelu_tanh
from needle.ops import getitem as getitem
from needle.ops import greater as greater
from needle.ops import greater_equal as greater_equal
from needle.ops import isfinite as isfinite
from needle.ops import isinf as isinf
from needle.ops import isnan as isnan
from needle.ops import less as less
from needle.ops import less_equal as less_equal
from needle.ops import log as log
from needle.ops import log1p as log1p
from needle.ops import log2 as log2
from needle.ops import log10 as log10
from needle.ops import log_softmax as log_softmax
from needle.ops import logical_and as logical_and
from needle.ops import logical_not as logical_not
from needle.ops import logical_or as logical_or
from needle.ops import logical_xor as logical_xor
from needle.ops import logsumexp as logsumexp
from needle.ops import matmul as matmul
from needle.ops import max as max
from needle.ops import maximum as maximum
from needle.ops import mean as mean
from needle.ops import min as min
from needle.ops import minimum as minimum
from needle.ops import multiply as multiply
from needle.ops import negative as negative
from needle.ops import not_equal as not_equal
from needle.ops import permute_dims as permute_dims
from needle.ops import positive as positive
from needle.ops import pow as pow
from needle.ops import prod as prod
from needle.ops import reciprocal as reciprocal
from needle.ops import relu as relu
from needle.ops import remainder as remainder
from needle.ops import reshape as reshape
from needle.ops import round as round
from needle.ops import rsqrt as rsqrt
from needle.ops import sigmoid as sigmoid
from needle.ops import sign as sign
from needle.ops import silu as silu
from needle.ops import sin as sin
from needle.ops import sinh as sinh
from needle.ops import softmax as softmax
from needle.ops import softplus as softplus
from needle.ops import split as split
from needle.ops import sqrt as sqrt
from needle.ops import square as square
from needle.ops import squeeze as squeeze
from needle.ops import stack as stack
from needle.ops import std as std
from needle.ops import subtract as subtract
from needle.ops import sum as sum
from needle.ops import sum_to as sum_to
from needle.ops import summation as summation
from needle.ops import take as take
from needle.ops import take_along_axis as take_along_axis
from needle.ops import tan as tan
from needle.ops import tanh as tanh
from needle.ops import to_device as to_device
from needle.ops import transpose as transpose
from needle.ops import trunc as trunc
from needle.ops import var as var
from needle.ops import where as where
from needle.ops.random import manual_seed as manual_seed
from needle.profiling import Profiler as Profiler
from needle.profiling import ProfileRow as ProfileRow
from needle.profiling import profile as profile
from needle.serialization import load as load
from needle.serialization import save as save
from needle.tensor import Tensor as Tensor
from needle.tensor import arange as arange
from needle.tensor import asarray as asarray
from needle.tensor import empty as empty
from needle.tensor import empty_like as empty_like
from needle.tensor import eye as eye
from needle.tensor import full as full
from needle.tensor import full_like as full_like
from needle.tensor import linspace as linspace
from needle.tensor import one_hot as one_hot
from needle.tensor import ones as ones
from needle.tensor import ones_like as ones_like
from needle.tensor import zeros as zeros
from needle.tensor import zeros_like as zeros_like

__version__ = "0.1.0"

bool = bool_

# The course's name.
TensorOp = Op
