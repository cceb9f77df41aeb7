"""A program compiled for a target: what its kernels take, or why it does not compile."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gpu_compile import loops
from gpu_compile.targets import Target
from gpu_compile.tools import Tools, libraries

_CLANG = (
    "-x", "cl", "-cl-std=CL1.2", "-w", "-Xclang", "-finclude-default-header", "-O3", "-S",
    "-Xclang", "-mlink-builtin-bitcode", "-Xclang",
)  # fmt: skip
_NVPTX = (
    "--target=nvptx64-unknown-nvidiacl", "-Xclang", "-target-feature", "-Xclang", "+ptx78", "-Xclang",
    "-cl-ext=+cl_khr_fp16,+cl_khr_fp64",
)  # fmt: skip
_AMDGCN = ("--target=amdgcn-amd-amdhsa", "-nogpulib", "-mcode-object-version=5")


@dataclass(frozen=True)
class Compiled:
    """A kernel, compiled. Bytes of spilled registers and of private arrays are those of a work-item."""

    kernel: str
    registers: int
    spilled: int
    private: int
    local_bytes: int
    simd: int = 1
    code: loops.Code | None = None


@dataclass(frozen=True)
class Result:
    """The kernels of a program, or what the compiler said against it."""

    kernels: tuple[Compiled, ...] = ()
    refused: str = ""
    log: str = field(default="", repr=False)


def compile_for(target: Target, source: Path, tools: Tools, out: Path) -> Result:
    """Compile the program in `source`; files that begin with the name `out` are left behind."""
    if target.is_intel:
        return _intel(target, source, tools, out)
    return _nvidia(target, source, tools, out) if target.name.startswith("sm_") else _amd(target, source, tools, out)


def _nvidia(target: Target, source: Path, tools: Tools, out: Path) -> Result:
    ptx, cubin = out.with_suffix(".ptx"), out.with_suffix(".cubin")
    library = tools.libclc / "nvptx64--nvidiacl.bc"
    chosen = ("-Xclang", "-target-cpu", "-Xclang", target.name)
    done, log = _run([tools.clang / "clang", *_CLANG, library, *_NVPTX, *chosen, "-o", ptx, source])
    if done:
        done, log = _run([tools.ptxas, "-v", f"-arch={target.name}", "-o", cubin, ptx])
    if not done:
        return Result(refused=_reason(log), log=log)
    codes = loops.of_sass(_run([tools.nvdisasm, "-c", cubin])[1])
    return Result(tuple(_of_ptxas(log, codes)), log=log)


def _of_ptxas(log: str, codes: dict[str, loops.Code]) -> Iterator[Compiled]:
    for part in log.split("Compiling entry function '")[1:]:
        name = part.split("'")[0]
        frame, stores, reads = _numbers(part, r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill")
        (registers,), (local,) = _numbers(part, r"Used (\d+) registers"), _numbers(part, r"(\d+) bytes smem")
        spilled = max(stores, reads)
        yield Compiled(name, registers, spilled, max(0, frame - spilled), local, code=codes.get(name))


def _numbers(text: str, pattern: str) -> tuple[int, ...]:
    """The numbers of the first match; zeros if there is none."""
    found = re.search(pattern, text)
    return tuple(map(int, found.groups())) if found else (0,) * re.compile(pattern).groups


def _amd(target: Target, source: Path, tools: Tools, out: Path) -> Result:
    assembly = out.with_suffix(".s")
    library = tools.libclc / "amdgcn--amdhsa.bc"
    done, log = _run(
        [tools.clang / "clang", *_CLANG, library, *_AMDGCN, f"-mcpu={target.name}", "-o", assembly, source]
    )
    if not done:
        return Result(refused=_reason(log), log=log)
    text = assembly.read_text()
    codes = loops.of_gcn(text)
    described = text[text.find(".amdgpu_metadata") :]
    # The fields of a kernel are in the order of their names; the arguments come first, and have names as well.
    blocks = re.split(r"\n  - \.(?:args|agpr_count):", described)[1:]
    return Result(tuple(_of_metadata(block, codes) for block in blocks), log=log)


def _of_metadata(block: str, codes: dict[str, loops.Code]) -> Compiled:
    def number(key: str) -> int:
        return _numbers(block, rf"\n    \.{key}:\s+(\d+)")[0]

    name = re.search(r"\n    \.name:\s+(\w+)", block)
    assert name is not None
    spilled = 4 * number("vgpr_spill_count")  # scalar registers spill into vector registers
    private = max(0, number("private_segment_fixed_size") - spilled)
    return Compiled(
        name[1], number("vgpr_count"), spilled, private, number("group_segment_fixed_size"), code=codes.get(name[1])
    )


def _intel(target: Target, source: Path, tools: Tools, out: Path) -> Result:
    assert tools.ocloc is not None
    folder = out.with_suffix(".intel")
    folder.mkdir(exist_ok=True)
    environment = os.environ | {"LD_LIBRARY_PATH": libraries(tools.ocloc)}
    done, log = _run(
        [
            tools.ocloc, "compile", "-file", source, "-device", target.name, "-out_dir", folder, "-output", "out",
            "-options", "-cl-std=CL1.2 -w", "-internal_options", "-cl-intel-allow-zebin",
        ],
        environment,
    )  # fmt: skip
    binary = next(folder.glob("*.bin"), None)
    if not done or "Build failed" in log or binary is None:
        return Result(refused=_reason(log), log=log)
    info = out.with_suffix(".zeinfo")
    _run([tools.clang / "llvm-objcopy", f"--dump-section=.ze_info={info}", binary])
    blocks = info.read_text().split("kernels_misc_info")[0].split("\n  - name: ")[1:]
    return Result(tuple(_of_zeinfo(block) for block in blocks if not block.startswith("Intel_Symbol")), log=log)


def _of_zeinfo(block: str) -> Compiled:
    """Scratch of a hardware thread is told in one number, for spilled registers and private arrays alike."""

    def number(key: str) -> int:
        return _numbers(block, rf"\b{key}:\s+(\d+)")[0]

    simd = max(1, number("simd_size"))
    scratch = sum(map(int, re.findall(r"usage:\s+(?:spill_fill_space|single_space)\s+size:\s+(\d+)", block)))
    private = sum(map(int, re.findall(r"usage:\s+private_space\s+size:\s+(\d+)", block)))
    return Compiled(block.split()[0], number("grf_count"), scratch // simd, private // simd, number("slm_size"), simd)


def _run(command: Sequence[str | Path], environment: dict[str, str] | None = None) -> tuple[bool, str]:
    """Whether the command succeeded, and what it said."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=environment, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def _reason(log: str) -> str:
    """The first line that tells of an error."""
    return next((line for line in log.splitlines() if "error" in line.lower()), log[-300:]).strip() or "no output"
