"""Where the compilers are: Debian's clang 19 and libclc, NVIDIA's ptxas and disassembler from PyPI, Intel's ocloc.

ocloc is unpacked from Debian's packages and not installed, since its package would register a driver that needle lists.
The environment variables CLANG (a folder), CLC (a folder), PTXAS, NVDISASM and OCLOC name others.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

#: What has ocloc and what it loads, of Debian 12.
_PACKAGES = (
    "intel-opencl-icd", "libigc1", "libigdfcl1", "libigdgmm12", "libopencl-clang14", "libllvmspirvlib14", "libllvm14",
)  # fmt: skip


@dataclass(frozen=True)
class Tools:
    """The compilers that were found; what is missing has a sentence in `missing`."""

    clang: Path
    libclc: Path
    ptxas: Path
    nvdisasm: Path
    ocloc: Path | None
    missing: tuple[str, ...]


def find(intel: bool, folder: Path) -> Tools:
    """The compilers; Intel's only if it is asked for. It is unpacked into `folder` if nothing names another."""
    clang = Path(os.environ.get("CLANG", "/usr/lib/llvm-19/bin"))
    libclc = Path(os.environ.get("CLC", "/usr/lib/clc"))
    ptxas = _from_pypi("PTXAS", "nvidia/cuda_nvcc/bin/ptxas")
    nvdisasm = _from_pypi("NVDISASM", "nvidia/cu13/bin/nvdisasm")
    ocloc = _ocloc(folder) if intel else None
    found = {
        "clang-19 (Debian: clang-19, llvm-19)": (clang / "clang").is_file() and (clang / "llvm-objcopy").is_file(),
        "libclc (Debian: libclc-19)": (libclc / "nvptx64--nvidiacl.bc").is_file(),
        "ptxas (pip install nvidia-cuda-nvcc-cu12==12.9.86)": ptxas.is_file(),
        "nvdisasm (pip install nvidia-cuda-nvdisasm==13.2.51)": nvdisasm.is_file(),
        "ocloc (Debian: intel-opencl-icd)": not intel or ocloc is not None,
    }
    return Tools(clang, libclc, ptxas, nvdisasm, ocloc, tuple(name for name, there in found.items() if not there))


def _from_pypi(variable: str, path: str) -> Path:
    """The program that an environment variable names, else the one of a package, else the one on the path."""
    if variable in os.environ:
        return Path(os.environ[variable])
    packaged = Path(sysconfig.get_path("purelib"), path)
    return packaged if packaged.is_file() else Path(shutil.which(packaged.name) or packaged)


def _ocloc(folder: Path) -> Path | None:
    if "OCLOC" in os.environ:
        return Path(os.environ["OCLOC"])
    program = folder / "usr/bin/ocloc"
    if not program.is_file() and shutil.which("apt-get"):
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-qq", *_PACKAGES], cwd=folder, capture_output=True, check=False)
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package.name, "."], cwd=folder, capture_output=True, check=False)
    return program if program.is_file() else None


def libraries(ocloc: Path) -> str:
    """The folders from which an unpacked ocloc loads its libraries, as LD_LIBRARY_PATH."""
    base = ocloc.parent.parent / "lib/x86_64-linux-gnu"
    return f"{base}:{base / 'intel-opencl'}"
