"""Finding OpenCL drivers: those of the system and of the Python environment, and why one does not start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyopencl as cl
import pytest

import needle as ndl
from needle.backend.opencl import OpenCLBackend
from needle.backend.opencl.finding import drivers

LIST = "import needle as ndl\nfor info in ndl.devices(): print(info.name, info.problem, sep='|')"


def listed(program: str = LIST, **environment: str) -> list[str]:
    """The lines that `program` prints in a new process: by default each device with its problem."""
    path = os.pathsep.join([str(Path(ndl.__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.fixture
def vendors(tmp_path: Path) -> Path:
    """A folder of the environment for entries of drivers."""
    folder = tmp_path / "etc" / "OpenCL" / "vendors"
    folder.mkdir(parents=True)
    return folder


def entry(folder: Path, name: str, content: str) -> Path:
    (folder / f"{name}.icd").write_text(content)
    return folder / f"{name}.icd"


# -- entries that cannot be used --------------------------------------------------------------------


#: By the names of broken entries: what they contain, and the device and the reason that are listed.
BROKEN = {
    "nvidia": (
        "libnvidia-opencl-missing.so.1\n", "nvidia", "its library does not load: libnvidia-opencl-missing.so.1: "
    ),
    "amdocl64": ("/opt/nowhere/libamdocl64.so", "amd", "names /opt/nowhere/libamdocl64.so, which does not exist"),
    "acme": ("libm.so.6", "opencl", "libm.so.6 is no OpenCL driver"),
    "empty": ("\n", "opencl", "the file cannot be read or names no library"),
    "damaged": ("{folder}/libdriver.so", "opencl", "its library does not load: {folder}/libdriver.so: "),
}  # fmt: skip


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder with the entries of BROKEN, and what is listed where there are no others."""
    folder = tmp_path_factory.mktemp("vendors")
    (folder / "libdriver.so").write_bytes(b"not a library")
    for name, (content, _, _) in BROKEN.items():
        entry(folder, name, content.format(folder=folder))
    return folder, listed(OCL_ICD_VENDORS=str(folder))


@pytest.mark.skipif(sys.platform != "linux", reason="where drivers are announced by files")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_entry_is_listed_with_the_reason(broken: tuple[Path, list[str]], name: str) -> None:
    folder, lines = broken
    _, device, problem = BROKEN[name]
    (found,) = (line for line in lines if f"{folder / name}.icd" in line)
    assert re.match(rf"{device}(:\d)?\|", found)
    assert found.partition("|")[2].startswith(f"{folder / name}.icd: {problem.format(folder=folder)}")


def test_a_broken_driver_does_not_take_the_name_of_one_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    known = [info for info in ndl.devices() if info.problem is None and info.name != "numpy"]
    if not known:
        pytest.skip("no OpenCL device")
    first = known[0].name
    broken = drivers.BrokenDriver(first, "its disk is upside down")
    found, _ = drivers.platforms()
    monkeypatch.setattr(drivers, "platforms", lambda: (found, [broken]))
    infos = OpenCLBackend().discover()
    assert infos[-1].problem == "its disk is upside down"
    assert infos[-1].name.startswith(f"{first}:")
    assert next(info for info in infos if info.name == first).problem is None


# -- drivers of the Python environment --------------------------------------------------------------


def test_a_library_lies_where_its_entry_says(vendors: Path, tmp_path: Path) -> None:
    library = tmp_path / "libhere.so"
    library.touch()
    assert drivers._library(entry(vendors, "here", f"{library}\n")) == str(library)
    assert drivers._library(entry(vendors, "system", "libsomewhere.so.1")) == "libsomewhere.so.1"


def test_a_library_lies_beside_its_entry(tmp_path: Path) -> None:
    (tmp_path / "libhere.so").touch()
    assert drivers._library(entry(tmp_path, "here", "libhere.so")) == str(tmp_path / "libhere.so")


def test_a_wheel_names_a_folder_of_the_machine_that_built_it(vendors: Path, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libthere.so").touch()
    file = entry(vendors, "there", "/opt/builder/lib/libthere.so")
    assert drivers._library(file) == str(tmp_path / "lib" / "libthere.so")


def test_entries_of_the_environment_are_read_and_platforms_are_listed_once(
    vendors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platforms, _ = drivers.platforms()
    own = Path(cl.__file__).parent / ".libs"
    wheel = next(own.glob("*.icd"), None)
    if wheel is None:
        pytest.skip("no driver of the environment that could be named twice")
    (tmp_path / "lib").mkdir()
    library = Path(drivers._library(wheel))
    (tmp_path / "lib" / library.name).symlink_to(library)
    file = entry(vendors, "again", f"/opt/builder/{library.name}")
    monkeypatch.setattr(drivers, "_prefixes", lambda: [tmp_path])
    assert file in list(drivers._entries())
    assert len({platform.int_ptr for platform in platforms}) == len(platforms)
    again = [platform.int_ptr for platform in drivers.platforms()[0]]
    assert len(set(again)) == len(again)
    assert {platform.int_ptr for platform in drivers._open(drivers._library(file))} <= set(again)


# -- the user's environment -------------------------------------------------------------------------


def test_a_loader_told_to_use_nothing_is_obeyed(tmp_path: Path) -> None:
    lines = listed(OCL_ICD_VENDORS=str(tmp_path / "absent"), OCL_ICD_FILENAMES="")
    assert [line.split("|")[0] for line in lines] == ["numpy"]


def test_discovery_leaves_the_environment_as_it_is() -> None:
    program = "import os, needle as ndl\nbefore = dict(os.environ)\nndl.devices()\nprint(dict(os.environ) == before)"
    assert listed(program) == ["True"]


def test_the_users_choice_of_rusticl_drivers_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSTICL_ENABLE", "none")
    with drivers._rusticl_enabled():
        assert os.environ["RUSTICL_ENABLE"] == "none"
    monkeypatch.delenv("RUSTICL_ENABLE")
    with drivers._rusticl_enabled():
        assert "llvmpipe" in os.environ["RUSTICL_ENABLE"]
    assert "RUSTICL_ENABLE" not in os.environ


def test_devices_are_found_after_pyopencl_was_used() -> None:
    program = "import pyopencl as cl\ntry: cl.get_platforms()\nexcept cl.LogicError: pass\n" + LIST
    names = [info.name for info in ndl.devices() if info.problem is None and not info.name.startswith("rusticl")]
    lines = listed(program)
    assert [line.split("|")[0] for line in lines if line.endswith("|None") and "rusticl" not in line] == names
