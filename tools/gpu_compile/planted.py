"""Programs with a fault each. A check that passes one of them proves nothing of the others."""

from __future__ import annotations

from gpu_compile.programs import Program
from needle.backend.opencl.building.kernel import Kernel

_KERNEL = (
    "#define X(i) x[(i) * 1024 + get_local_id(0)]\n"
    "__kernel __attribute__((reqd_work_group_size(256, 1, 1)))\nvoid planted(__global float *x, int n) "
)

#: The kind of fault, and a word of what must be said of it.
FAULTS = {
    "unknown builtin": ("does not compile", _KERNEL + "{ x[0] = no_such_function(x[1]); }\n"),
    "private array": (
        "array in memory|spills",
        _KERNEL + "{ float a[64]; for (int i = 0; i < 64; i++) a[i] = X(i);\n"
        "  for (int i = 0; i < n; i++) a[(int)X(i) & 63] += 1;\n"
        "  for (int i = 0; i < 64; i++) X(i) = a[i]; }\n",
    ),
    "spill": (
        "spills|array in memory",
        _KERNEL + "{ float a[272];\n#pragma unroll\nfor (int i = 0; i < 272; i++) a[i] = X(i);\n"
        "for (int k = 0; k < n; k++) {\n#pragma unroll\n"
        "for (int i = 0; i < 272; i++) a[i] = a[i] * X(k) + a[(i + 1) % 272];\n}\n"
        "#pragma unroll\nfor (int i = 0; i < 272; i++) X(i) = a[i]; }\n",
    ),
    "too much local memory": (
        "of local memory",
        _KERNEL + "{ __local float a[17000]; a[get_local_id(0) * 64] = x[n]; barrier(CLK_LOCAL_MEM_FENCE);\n"
        "  x[get_local_id(0)] = a[(n * 77) % 17000]; }\n",
    ),
}


def program(kind: str) -> Program:
    """The program with that kind of fault."""
    kernel = Kernel("planted.cl", "planted", {"LOCAL": 256}, [None, None])
    return Program(f"planted-{kind.replace(' ', '-')}", FAULTS[kind][1], {"planted": kernel})
