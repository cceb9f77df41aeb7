"""The OpenCL backend: devices, memory, programs and launches through PyOpenCL."""

from needle.backend.opencl.discovery import OpenCLBackend as OpenCLBackend

__all__ = ["OpenCLBackend"]
