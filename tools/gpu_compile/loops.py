"""What a kernel's instructions are, from NVIDIA's disassembler and from LLVM's assembly for AMD."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

#: What an instruction is, by its name; those that begin otherwise are integer arithmetic, moves and the like.
_FMA = re.compile(r"FFMA|DFMA|HFMA2|HMMA|v_(dual_)?fmac?_f|v_pk_fma|v_mac_f|v_mad_f|v_fma_f|v_dot")
_LOAD = re.compile(r"LDG|LD\.E|global_load|flat_load|buffer_load|s_load_|s_buffer")
_NO_WORK = re.compile(r"NOP|s_nop|s_waitcnt|s_delay|s_clause|s_code_end|\.")

_SASS = re.compile(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P[0-9T]+\s+)?([A-Z][A-Z0-9_.]*)(.*?);")
_GCN = re.compile(r"\s+([a-z]\w+)\s*(.*?)\s*(;.*)?$")
_WIDTHS = {"dwordx4": 128, "b128": 128, "dwordx3": 96, "dwordx2": 64, "b64": 64, "ushort": 16, "ubyte": 8, "sbyte": 8}


@dataclass(frozen=True)
class Code:
    """The instructions of a kernel in their order: each with its name and, where it jumps back, with where to."""

    names: tuple[str, ...]
    back: tuple[tuple[int, int], ...]  # loops, from the first instruction to the one that jumps back

    def fma_share(self, turns: int) -> float:
        """The part of the main loop's instructions that multiply and add, the loop inside it run so many times.

        The main loop is the one around the loop with the most of them, if there is one around it.
        """
        if not self.back:
            return 0.0
        inner = max(self.back, key=lambda span: (_fma_count(self._names(span)), span[0] - span[1]))
        around = [span for span in self.back if span != inner and span[0] <= inner[0] and inner[1] <= span[1]]
        outer = max(around, key=lambda span: span[0] - span[1], default=inner)
        more = (turns - 1) if around else 0
        count = len(self._names(outer)) + more * len(self._names(inner))
        return (_fma_count(self._names(outer)) + more * _fma_count(self._names(inner))) / max(1, count)

    def _names(self, span: tuple[int, int]) -> list[str]:
        """The instructions of a loop that are issued to some purpose."""
        return [name for name in self.names[span[0] : span[1] + 1] if not _NO_WORK.match(name)]

    def load_bits(self) -> int:
        """The bits of the widest load of a work-item from global memory."""
        return max([_bits(name) for name in self.names if _LOAD.match(name) and not name.startswith("s_")], default=0)


def _fma_count(names: Sequence[str]) -> int:
    return sum(bool(_FMA.match(name)) for name in names)


def _bits(name: str) -> int:
    if name[0].isupper():
        width = re.search(r"\.(128|64|U8|S8|U16|S16)\b", name)
        return int(re.sub(r"\D", "", width[1])) if width else 32
    return next((bits for word, bits in _WIDTHS.items() if word in name), 32)


def of_sass(text: str) -> dict[str, Code]:
    """The kernels of what `nvdisasm -c` prints."""
    return {
        part.split(":")[0]: _code(part, r"(\.L_x_\d+):", _SASS, r"BRA", r"`?\(?(\.L_x_\d+)")
        for part in re.split(r"\n\.text\.", text)[1:]
    }


def of_gcn(text: str) -> dict[str, Code]:
    """The kernels of an assembly file for AMD."""
    found = {}
    for start in re.finditer(r"^(\w+):\s+; @\1$", text, re.MULTILINE):
        body = text[start.end() : text.find(".Lfunc_end", start.end())]
        found[start[1]] = _code(body, r"(\.LBB\d+_\d+):", _GCN, r"s_c?branch", r"(\.LBB\d+_\d+)")
    return found


def _code(text: str, label: str, instruction: re.Pattern[str], jump: str, target: str) -> Code:
    names: list[str] = []
    labels: dict[str, int] = {}
    back: list[tuple[int, int]] = []
    for line in text.splitlines():
        if marked := re.match(label, line):
            labels[marked[1]] = len(names)
        elif found := instruction.match(line):
            if re.match(jump, found[1]) and (to := re.search(target, found[2])) and to[1] in labels:
                back.append((labels[to[1]], len(names)))
            names.append(found[1])
    return Code(tuple(names), tuple(span for span in back if span[0] < span[1]))
