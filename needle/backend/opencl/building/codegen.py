"""Code generation: a fused program becomes the defines that `cl/expression.h` describes.

The code depends on the program's structure and on how each operand lies along the last axis, its columns: neighbours in
memory ("contiguous"), one element repeated ("uniform") or elements apart ("strided"). Shapes, strides and the values of
scalars are arguments of the kernel, so that one compiled kernel serves every size.

In the code, `v0`, `v1`, ... are a program's values by number, `in1` and `out0` are pointers by operand, and `result0`
is the value of the first output.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from needle.backend.opencl.building.types import argument_dtype, cl_type, compute_type, is_narrow
from needle.backend.records import FusedProgram, Node
from needle.dtypes import DType, is_bool, is_float, is_integer, kind_of

_NAMES = re.compile(r"\b[xyzT]\b")


def type_definitions(dtypes: Sequence[DType]) -> str:
    """The DEFINE_ macros that a kernel needs for the element types of `dtypes`."""
    lines = []
    for dtype in dict.fromkeys(dtypes):
        name = cl_type(dtype)
        lines.append(f"DEFINE_ACCESS({name})")
        if is_integer(dtype):
            lines.append(f"DEFINE_INTEGER({name})")
        elif is_float(dtype):
            lines.append(f"DEFINE_FLOAT({compute_type(dtype)})")
    return " ".join(dict.fromkeys(lines))


def parameters(program: FusedProgram, output_count: int) -> str:
    """The kernel's parameters: for each output and input a pointer and its first element's position, then scalars."""
    arrays = enumerate(_arrays(program, output_count))
    return ", ".join(
        [*(f"{pointer}{name}, const long start{k}" for k, (pointer, name) in arrays), *_scalar_parameters(program)]
    )


def _arrays(program: FusedProgram, output_count: int) -> list[tuple[str, str]]:
    """For each output and input, the type of its pointer and the name of its pointer."""
    outputs = (program.dtypes[number] for number in program.outputs[:output_count])
    return [
        *((f"__global {cl_type(dtype)} *", f"out{k}") for k, dtype in enumerate(outputs)),
        *((f"__global const {cl_type(dtype)} *", f"in{k}") for k, dtype in enumerate(program.inputs, output_count)),
    ]


def _scalar_parameters(program: FusedProgram) -> list[str]:
    return [f"const {cl_type(argument_dtype(dtype))} scalar{i}" for i, dtype in enumerate(program.scalars)]


def loads(program: FusedProgram, output_count: int, columns: Sequence[str], full: bool) -> str:
    """Statements that read one vector of each input: a full one, or else the last `lanes` elements of the row."""
    lines = []
    for i, dtype in enumerate(program.inputs):
        operand = output_count + i
        base = f"in{operand} + at[{operand}]"
        name, kind = cl_type(dtype), columns[operand]
        stride = "1" if kind == "contiguous" else f"COLUMN_STRIDE({operand})"
        if kind == "uniform":
            value = f"LIT({name}, *({base}))"
        elif kind == "contiguous" and full:
            value = f"LOAD_CONTIGUOUS({name}, {base} + column)"
        else:
            value = f"gather_{name}({base} + column * {stride}, {stride}, {'WIDTH' if full else 'lanes'})"
        lines.append(f"const VEC({name}) v{i} = {value};")
    return "\n".join(lines)


def block_defines(
    program: FusedProgram, output_count: int, columns: Sequence[str], turned: Sequence[bool]
) -> dict[str, str | int]:
    """The defines with which `tiles` reads inputs in blocks; none if no input is `turned`.

    `turned` says of each operand whether its neighbours lie along the rows (see `Layout.turned`).
    """
    blocks, types = {}, []
    for i, dtype in enumerate(program.inputs):
        operand, name = output_count + i, cl_type(dtype)
        if turned[operand]:
            base, stride = f"in{operand} + at[{operand}]", f"COLUMN_STRIDE({operand})"
            blocks[i] = (
                f"VEC({name}) block{i}[WIDTH]; read_block_{name}({base} + column * {stride}, {stride}, block{i});"
            )
            types.append(f"DEFINE_BLOCK({name})")
    if not blocks:
        return {}
    rows = loads(program, output_count, columns, full=True).splitlines()
    for i in blocks:
        rows[i] = f"const VEC({cl_type(program.inputs[i])}) v{i} = block{i}[u];"
    return {
        "BLOCK_TYPES": " ".join(dict.fromkeys(types)),
        "LOAD_BLOCK": "\n".join(blocks.values()),
        "LOAD_ROW": "\n".join(rows),
    }


def stores(program: FusedProgram, output_count: int, columns: Sequence[str], full: bool) -> str:
    """Statements that write one vector of each output: a full one, or else the last `lanes` elements of the row."""
    lines = []
    for k in range(output_count):
        name = cl_type(program.dtypes[program.outputs[k]])
        stride = "1" if columns[k] == "contiguous" else f"COLUMN_STRIDE({k})"
        base = f"out{k} + at[{k}] + column"
        if columns[k] == "contiguous" and full:
            lines.append(f"STORE_CONTIGUOUS({name}, {base}, result{k});")
        else:
            lines.append(f"scatter_{name}({base} * {stride}, {stride}, {'WIDTH' if full else 'lanes'}, result{k});")
    return "\n".join(lines)


def streaming_defines(program: FusedProgram, output_count: int) -> dict[str, str | int]:
    """The defines with which `elementwise` writes full vectors past the caches. All outputs must be contiguous."""
    vectors = [f"VEC({cl_type(program.dtypes[number])})" for number in program.outputs[:output_count]]
    rows = [f"out{k} + at[{k}]" for k in range(output_count)]
    targets = list(zip(vectors, rows, strict=True))
    return {
        "CAN_STREAM": " && ".join(f"IS_ALIGNED({vector}, {row})" for vector, row in targets),
        "STREAM_FULL": " ".join(
            f"STREAM({vector}, {row} + column, result{k});" for k, (vector, row) in enumerate(targets)
        ),
    }


def compute(program: FusedProgram, output_count: int) -> str:
    """Statements that compute the program's outputs from its inputs, one for each node.

    The first `output_count` outputs are stored; a kernel that folds further ones gets them in the type to compute in.
    """
    dtypes = program.dtypes
    lines = []
    first_scalar = len(program.inputs)
    for i, dtype in enumerate(program.scalars):
        lines.append(f"const VEC({cl_type(dtype)}) v{first_scalar + i} = {_scalar(dtype, f'scalar{i}')};")
    first_node = first_scalar + len(program.scalars)
    for i, node in enumerate(program.nodes):
        value = _expression(node, [dtypes[j] for j in node.operands])
        lines.append(f"const VEC({cl_type(node.dtype)}) v{first_node + i} = {value};")
    for k, number in enumerate(program.outputs):
        dtype, value = dtypes[number], f"v{number}"
        name, value = (cl_type(dtype), value) if k < output_count else (compute_type(dtype), _widened(dtype, value))
        lines.append(f"const VEC({name}) result{k} = {value};")
    return "\n".join(lines)


def _scalar(dtype: DType, name: str) -> str:
    """A kernel's scalar parameter as a vector of `dtype`."""
    literal = f"LIT({compute_type(dtype)}, {name})"
    return f"CAST({cl_type(dtype)}, {literal})" if is_narrow(dtype) else literal


def _widened(dtype: DType, value: str) -> str:
    """A value of `dtype` in the type to compute in."""
    return f"WIDEN({cl_type(dtype)}, {value})" if is_narrow(dtype) else value


def _expression(node: Node, operand_dtypes: Sequence[DType]) -> str:
    """The OpenCL C expression of a node, over the values of its operands."""
    record = node.record
    source = operand_dtypes[0]
    if record.typing == "cast":
        return _cast(_widened(source, f"v{node.operands[0]}"), source, node.dtype)
    is_moved = record.typing == "select"  # then its values are not computed with, only chosen
    dtype = source if record.typing in ("compare", "logical") else node.dtype
    name = cl_type(dtype) if is_moved else compute_type(dtype)
    values = (
        f"v{i}" if is_moved else _widened(operand, f"v{i}")
        for i, operand in zip(node.operands, operand_dtypes, strict=True)
    )
    names = {"T": name, **dict(zip("xyz", values, strict=False))}
    text = record.cl if isinstance(record.cl, str) else _for_kind(record.cl, kind_of(dtype))
    value = _NAMES.sub(lambda m: names[m[0]], text)
    if record.typing in ("compare", "logical"):
        return f"BOOL({value})"
    return value if name == cl_type(dtype) else f"CAST({cl_type(node.dtype)}, {value})"


def _cast(value: str, source: DType, target: DType) -> str:
    """`value`, computed in the type of `source`, as a value of `target`."""
    computed = compute_type(source)
    if is_bool(target):
        return f"BOOL({value} != LIT({computed}, 0))"
    if is_float(target) and not is_float(source):
        value = f"UNKNOWN({computed}, {value})"
    if is_integer(target) and is_float(source):
        return f"TO_INTEGER({computed}, {cl_type(target)}, {value})"
    return f"CAST({cl_type(target)}, {value})"


def _for_kind(choices: Mapping[str, str], kind: str) -> str:
    """The expression of a record for a dtype's kind."""
    return next(text for kinds, text in choices.items() if kind in kinds)


def expression_defines(
    program: FusedProgram, output_count: int, columns: Sequence[str], rank: int
) -> dict[str, str | int]:
    """All defines of `cl/expression.h`, for a kernel that stores the first `output_count` outputs of `program`."""
    operands = output_count + len(program.inputs)
    return {
        "RANK": rank,
        "OPERANDS": max(operands, 1),
        "PARAMETERS": parameters(program, output_count) or "const long start0",
        "MOVE_TO_STARTS": " ".join(
            f"{name} += start{k};" for k, (_, name) in enumerate(_arrays(program, output_count))
        ),
        "TYPES": type_definitions(program.dtypes),
        "LOAD_FULL": loads(program, output_count, columns, full=True),
        "LOAD_TAIL": loads(program, output_count, columns, full=False),
        "COMPUTE": compute(program, output_count),
        "STORE_FULL": stores(program, output_count, columns, full=True),
        "STORE_TAIL": stores(program, output_count, columns, full=False),
    }


def batch_defines(program: FusedProgram, slots: int, reads: Sequence[int]) -> dict[str, str | int]:
    """All defines of `cl/elementwise_batch.cl`, for `slots` sets of contiguous arrays.

    A set's first arrays are the outputs; its arrays at the positions `reads` are the inputs.
    """
    names = _arrays(program, len(program.outputs))
    places = [*range(len(program.outputs)), *reads]
    pointers = {place: pointer.replace("const ", "") for place, (pointer, _) in zip(places, names, strict=True)}
    parameters = [
        parameter
        for slot in range(slots)
        for parameter in (f"const long size_{slot}", *(f"{pointers[k]}array{k}_{slot}" for k in sorted(pointers)))
    ]
    choices = []
    for place, (pointer, name) in zip(places, names, strict=True):
        others = "".join(f"slot == {slot} ? array{place}_{slot} : " for slot in range(slots - 1))
        choices.append(f"{pointer}{name} = {others}array{place}_{slots - 1};")
    return {
        **expression_defines(program, len(program.outputs), ("contiguous",) * len(names), 1),
        "SLOTS": slots,
        "SIZES": ", ".join(f"size_{slot}" for slot in range(slots)),
        "PARAMETERS": ", ".join([*parameters, *_scalar_parameters(program)]),
        "CHOOSE": "\n".join(choices),
    }
