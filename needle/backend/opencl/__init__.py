"""The OpenCL backend: devices, memory, programs and launches through PyOpenCL."""

from needle.backend.opencl.backend import OpenCLBackend as OpenCLBackend

__all__ = ["OpenCLBackend"]
