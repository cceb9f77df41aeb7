"""Whether a device computes in half is found by trying; here that is compared with what drivers say, who tell."""

from __future__ import annotations

import pytest

import needle as ndl
from needle.backend.opencl.finding import platforms
from needle.backend.opencl.finding.halves import computes_halves
from needle.backend.opencl.running.device import OpenCLDevice


@pytest.fixture
def opencl(device: ndl.Device) -> OpenCLDevice:
    if not isinstance(device, OpenCLDevice):
        pytest.skip("only OpenCL devices compile kernels")
    return device


def test_trying_agrees_with_what_the_driver_says(opencl: OpenCLDevice) -> None:
    """Where the driver claims halves they work. Where it does not, nothing fails, whatever is found."""
    assert computes_halves(opencl.cl_device) or not opencl.supports(ndl.float16)


@pytest.mark.parametrize("works", [True, False])
def test_only_nvidia_s_devices_are_tried(opencl: OpenCLDevice, monkeypatch: pytest.MonkeyPatch, works: bool) -> None:
    class Device:
        """A device whose driver says nothing of halves."""

        vendor, extensions = "NVIDIA Corporation", "cl_khr_fp64"

    tried = []
    monkeypatch.setattr(platforms, "computes_halves", lambda device: bool(tried.append(device)) or works)
    assert (ndl.float16 in platforms._dtypes(Device())) is works
    other = Device()
    other.vendor = "Another"
    assert ndl.float16 not in platforms._dtypes(other) and len(tried) == 1
