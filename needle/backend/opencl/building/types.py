"""OpenCL C's names for the dtypes."""

from __future__ import annotations

from collections.abc import Sequence

from needle.dtypes import ALL, DType, float16, float64

#: A bool is stored as one byte, 0 or 1.
CL_TYPES = {
    "bool": "uchar", "int8": "char", "int16": "short", "int32": "int", "int64": "long",
    "uint8": "uchar", "uint16": "ushort", "uint32": "uint", "uint64": "ulong",
    "float16": "half", "float32": "float", "float64": "double",
}  # fmt: skip

#: The extension that a device must have for a dtype that not every device has.
_EXTENSIONS = {float16: "cl_khr_fp16", float64: "cl_khr_fp64"}


def supported_dtypes(extensions: Sequence[str]) -> frozenset[DType]:
    """The dtypes of a device with these OpenCL extensions."""
    return frozenset(dtype for dtype in ALL if _EXTENSIONS.get(dtype) in (None, *extensions))


def cl_type(dtype: DType) -> str:
    """OpenCL C's name for `dtype`."""
    return CL_TYPES[dtype.name]


def arithmetic_type(dtype: DType) -> str:
    """The type to compute `dtype` in. Halves are floats meanwhile and rounded once, as in NumPy and PyTorch.

    In half, an operation of several steps (`gelu`) would lose digits, on hardware that has such arithmetic.
    """
    return "float" if dtype.name == "float16" else cl_type(dtype)


def wrapping_type(dtype: DType) -> str:
    """The type to add and multiply `dtype` in: for signed integers the unsigned one, whose overflow is defined."""
    return f"u{cl_type(dtype)}" if dtype.kind == "i" else cl_type(dtype)
