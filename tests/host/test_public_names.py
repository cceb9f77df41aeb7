"""Each public name is listed once, and a function is a method because its declaration says so."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from support.guides import DOCS, blocks
from support.processes import environment

import needle as ndl
from needle.array.methods import Methods
from needle.ops import elementwise, registry
from needle.ops.base import method, withdraw
from needle.ops.familiar import FamiliarMethods

#: The course's names for what is listed under another, and the dtypes that builtin names stand for.
ALIASES = {
    "bool": "bool_", "half": "float16", "float": "float32", "double": "float64", "short": "int16", "int": "int32",
    "long": "int64", "TensorOp": "Op",
}  # fmt: skip

#: Modules whose names belong to themselves, and not to the package that they lie in.
OWN_NAMESPACES = (
    "needle.data.transforms", "needle.derivatives", "needle.init", "needle.nn.init", "needle.nn.utils",
    "needle.optim.swa_utils",
)  # fmt: skip


#: What exports nothing, the second only for those who have einops.
PASSED_OVER = ("needle.backend.opencl", "needle.interop.einops")


def modules() -> Iterator[ModuleType]:
    """Every module of needle that may export something."""
    for info in pkgutil.walk_packages(ndl.__path__, "needle."):
        if not info.name.endswith("__main__") and not info.name.startswith(PASSED_OVER):
            yield importlib.import_module(info.name)


LISTING = [module for module in modules() if "__all__" in vars(module)]
PACKAGES = [ndl, *(module for module in modules() if hasattr(module, "__path__") and "__all__" not in vars(module))]


def exported(package: ModuleType) -> dict[str, Any]:
    """The names of a package but those of its own modules."""
    public = {name: value for name, value in vars(package).items() if not name.startswith("_")}
    return {name: value for name, value in public.items() if not isinstance(value, ModuleType)}


def title(value: Any) -> str:
    return value.__name__ if isinstance(value, ModuleType) else str(value)


@pytest.mark.parametrize("package", PACKAGES, ids=title)
def test_a_public_name_comes_from_one_list(package: ModuleType) -> None:
    """What no list has, or two have, was exported by accident."""
    for name, value in exported(package).items():
        wanted = ALIASES.get(name, name) if package is ndl else name
        homes = [module.__name__ for module in LISTING if wanted in module.__all__ and vars(module)[wanted] is value]
        # `nn.functional` lists what it re-exports as well.
        homes = [h for h in homes if not h.startswith("needle.nn.functional.") or value.__module__ == h]
        assert len(homes) == 1, f"{package.__name__}.{name} is in the lists of {homes or 'no module'}"


@pytest.mark.parametrize("module", LISTING, ids=title)
def test_what_a_module_lists_is_exported_and_documented(module: ModuleType) -> None:
    package = sys.modules[module.__name__.rpartition(".")[0]]
    for name in module.__all__:
        value = vars(module)[name]
        if module.__name__ not in OWN_NAMESPACES:
            assert any(vars(place).get(name) is value for place in (package, ndl)), name
        if inspect.isfunction(value) or inspect.isclass(value):
            assert inspect.getdoc(value), name


def test_lists_and_not_names_of_modules_say_what_is_private() -> None:
    for module in modules():
        assert not module.__name__.rpartition(".")[2].startswith("_"), module.__name__


def test_needle_exports_every_function_on_tensors() -> None:
    declared = set(exported(ndl.ops)) - {"Declaration", "elementwise", "registry"}
    assert declared >= {"matmul", "sum", "tanh", "where"}
    assert all(vars(ndl)[name] is vars(ndl.ops)[name] for name in declared)


def test_functional_adds_only_what_differs() -> None:
    for name in ("relu", "sigmoid", "silu", "tanh"):
        assert vars(ndl.nn.functional)[name] is vars(ndl)[name]
    x = ndl.asarray([-1.0, 2.0], device="numpy")
    assert ndl.nn.functional.relu(input=x).tolist() == ndl.relu(x=x).tolist() == [0, 2]  # PyTorch's name, and ours
    with pytest.raises(TypeError, match="too many"):
        ndl.nn.functional.relu(x, input=x)


# -- methods ----------------------------------------------------------------------------------------


def test_a_declaration_says_whether_a_function_is_a_method() -> None:
    declared = {name: elementwise(cl="x + 1", reference=lambda x: x + 1, method=wanted)(function)
                for name, wanted, function in (("plain", False, plain), ("attached", True, attached))}  # fmt: skip
    try:
        x = ndl.asarray([1.0], device="numpy")
        assert declared["plain"](x).tolist() == x.attached().tolist() == [2]
        assert x.cached_data.attached().numpy().tolist() == [2]
        assert not hasattr(x, "plain") and not hasattr(x.cached_data, "plain")
        assert set(declared) <= set(registry)
    finally:
        for name in declared:
            withdraw(name)
    assert not set(declared) & {*registry, *vars(Methods)} and not hasattr(x, "attached")


def plain(x: ndl.Tensor) -> ndl.Tensor:  # type: ignore[empty-body]
    """An operation."""


def attached(x: ndl.Tensor) -> ndl.Tensor:  # type: ignore[empty-body]
    """An operation that is a method."""


def test_a_function_of_other_operations_becomes_a_method() -> None:
    @method
    def scaled(x: ndl.Tensor, factor: float = 2.0) -> ndl.Tensor:
        return x * factor

    try:
        assert ndl.asarray([1.0], device="numpy").scaled(factor=3.0).tolist() == [3]
    finally:
        del Methods.scaled


#: What methods need beside x, of shape (1, 2).
ARGUMENTS: dict[str, Callable[[ndl.Tensor], tuple[Any, ...]]] = {
    "gather": lambda x: (1, [[1, 1]]),
    "index_add": lambda x: (1, [1, 1], x),
    "index_select": lambda x: (1, ndl.asarray([1], device="numpy")),
    "kthvalue": lambda x: (1,),
    "masked_fill": lambda x: (x > 0.3, 7),
    "masked_select": lambda x: (x > 0.3,),
    "quantile": lambda x: (0.5,),
    "scatter": lambda x: (1, [[1, 1]], x),
    "scatter_add": lambda x: (1, [[1, 1]], x),
    "take": lambda x: ([1, 1],),
    "topk": lambda x: (1,),
}


@pytest.mark.parametrize("name", sorted(name for name, value in vars(Methods).items() if inspect.isfunction(value)))
def test_a_method_is_the_function(name: str) -> None:
    assert getattr(ndl.Tensor, name) is vars(Methods)[name] or name in vars(FamiliarMethods)
    assert inspect.unwrap(vars(Methods)[name]) is inspect.unwrap(vars(ndl)[name])
    x = ndl.asarray(np.array([[0.25, 0.5]], np.float32), device="numpy")
    x = x.astype("int32") if name.startswith("bitwise") else x
    parameters = [*inspect.signature(vars(Methods)[name]).parameters.values()][1:]
    if name in ARGUMENTS or all(p.default is not p.empty or p.kind is p.VAR_POSITIONAL for p in parameters):
        more = ARGUMENTS.get(name, lambda x: ())(x)
        arrays = [a.cached_data if isinstance(a, ndl.Tensor) else a for a in more]
        expected = as_arrays(getattr(ndl, name)(x, *more))
        np.testing.assert_equal(as_arrays(getattr(x, name)(*more)), expected)
        np.testing.assert_equal(as_arrays(getattr(x.cached_data, name)(*arrays)), expected)


def as_arrays(result: Any) -> list[np.ndarray]:
    """What a function gave, a tensor or several or a number, as NumPy's arrays."""
    several = result if isinstance(result, (list, tuple)) else [result]
    return [np.asarray(r if isinstance(r, bool) else r.numpy()) for r in several]


# -- one file ---------------------------------------------------------------------------------------

LOOK = """
import json
import needle as ndl
x = ndl.Tensor([-1.0, 0.0, 2.0], device="numpy")
print(json.dumps([
    ndl.__file__, "mish" in ndl.ops.registry, ndl.mish is ndl.ops.mish, ndl.mish(x).tolist() == x.mish().tolist(),
]))
"""


@pytest.mark.skipif(not DOCS.is_dir(), reason="the guides are not part of an installed package")
def test_an_operation_with_its_method_touches_one_file(tmp_path: Path) -> None:
    """The guide's lines, added to one file of a copy of needle, give a public function that is also a method."""
    package = tmp_path / "needle"
    shutil.copytree(Path(ndl.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    file = package / "ops" / "activation.py"
    declaration = next(block for block in blocks("add-an-op.md", "python") if "def mish(" in block)
    text = file.read_text().replace("__all__ = [", '__all__ = ["mish", ')
    file.write_text(f"{text}\n\n{declaration}")
    done = subprocess.run(
        [sys.executable, "-c", LOOK], cwd=tmp_path, env=environment(PYTHONPATH=str(tmp_path)), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    where, *found = json.loads(done.stdout)
    assert Path(where).is_relative_to(tmp_path)
    assert found == [True, True, True]
