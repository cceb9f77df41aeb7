"""Compile needle's programs for GPUs that are not here, by their vendors' code generators, and judge what comes out.

PYTHONPATH=tools python -m gpu_compile [--quick] [--targets sm_86,gfx1030,dg2] [--write]

programs   the programs that needle makes under the launch shapes of GPUs
targets    GPUs by name: their launch shapes, what a compute unit of them has
tools      where the compilers are
compilers  a program compiled: registers, spills, private arrays and local memory of each kernel
loops      what a kernel's instructions are: the share of FMA in its main loop, the widths of its loads
rules      what is a fault, and which faults are known, with the reason
planted    programs with a fault each, which must be found
table      the table of docs/gpus.md
"""
