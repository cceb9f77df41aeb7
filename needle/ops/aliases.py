"""Functions under the names that PyTorch, NumPy or the Array API have for them as well, and their methods.

Each name is the very function. Where libraries give one name two meanings it keeps ours; docs/coming-from-pytorch.md
and docs/coming-from-numpy.md say so.
"""

from __future__ import annotations

from needle.array.methods import Methods
from needle.ops.arithmetic import (
    abs,
    add,
    clip,
    divide,
    floor_divide,
    maximum,
    minimum,
    multiply,
    negative,
    pow,
    remainder,
    round,
    subtract,
    trunc,
)
from needle.ops.arranging import array_split, moveaxis, unstack, vstack
from needle.ops.comparison import (
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_or,
    logical_xor,
    not_equal,
)
from needle.ops.compositions import clone, deg2rad, rad2deg
from needle.ops.creation import asarray
from needle.ops.floats import copysign, hypot, lerp, logaddexp, nextafter
from needle.ops.matmul import matmul
from needle.ops.reductions import max, min
from needle.ops.shape import broadcast_arrays, concat, permute_dims, split, swapaxes
from needle.ops.softmax import log_softmax, logsumexp, softmax
from needle.ops.trigonometric import acos, acosh, asin, asinh, atan, atan2, atanh

__all__ = [
    "absolute", "amax", "amin", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "as_tensor",
    "asanyarray", "ascontiguousarray", "bitwise_not", "bmm", "broadcast_tensors", "cat", "clamp", "concatenate",
    "copy", "degrees", "div", "eq", "fabs", "fix", "ge", "gt", "invert", "le", "left_shift", "lt", "mm", "movedim",
    "mul", "ne", "neg", "permute", "power", "radians", "right_shift", "rint", "row_stack", "sub", "swapdims",
    "tensor_split", "true_divide", "unbind",
]  # fmt: skip

cat = concatenate = concat
amax, amin = max, min
absolute = fabs = abs
degrees, radians = rad2deg, deg2rad
sub, mul, div, true_divide, neg = subtract, multiply, divide, divide, negative
power = pow
clamp = clip
copy = clone
fix, rint = trunc, round
eq, ne, lt, le, gt, ge = equal, not_equal, less, less_equal, greater, greater_equal
bitwise_not = invert = bitwise_invert
left_shift, right_shift = bitwise_left_shift, bitwise_right_shift
arccos, arccosh, arcsin, arcsinh, arctan, arctanh = acos, acosh, asin, asinh, atan, atanh
arctan2 = atan2
mm = bmm = matmul
movedim, swapdims, permute = moveaxis, swapaxes, permute_dims
unbind, tensor_split = unstack, array_split
as_tensor = asanyarray = ascontiguousarray = asarray
broadcast_tensors, row_stack = broadcast_arrays, vstack

#: Functions that are methods under these names: those that PyTorch's tensors or NumPy's arrays have as methods.
METHODS = {
    **{f.__name__: f for f in (
        add, atan2, bitwise_and, bitwise_left_shift, bitwise_or, bitwise_right_shift, bitwise_xor, clip,
        copysign, divide, equal, floor_divide, greater, greater_equal, hypot, lerp, less, less_equal, log_softmax,
        logaddexp, logical_and, logical_or, logical_xor, logsumexp, matmul, maximum, minimum, multiply, nextafter,
        not_equal, pow, remainder, softmax, split, subtract,
    )},
    "absolute": abs, "amax": max, "amin": min, "arccos": acos, "arccosh": acosh, "arcsin": asin, "arcsinh": asinh,
    "arctan": atan, "arctan2": atan2, "arctanh": atanh, "bitwise_not": bitwise_invert, "bmm": matmul, "clamp": clip,
    "div": divide, "eq": equal, "fix": trunc, "ge": greater_equal, "gt": greater, "le": less_equal, "lt": less,
    "mm": matmul, "movedim": moveaxis, "mul": multiply, "ne": not_equal, "neg": negative, "sub": subtract,
    "swapdims": swapaxes, "tensor_split": array_split, "true_divide": divide, "unbind": unstack,
}  # fmt: skip

for _name, _function in METHODS.items():
    setattr(Methods, _name, _function)
