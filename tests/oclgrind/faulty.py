"""Kernels with one planted fault each, to be run under Oclgrind: it must report the one named on the command line."""

from __future__ import annotations

import sys

import numpy as np
import pyopencl as cl

KERNELS = {
    "bounds": "y[get_global_id(0) + 1] = x[get_global_id(0)];",
    "uninitialized": "float z; y[get_global_id(0)] = z;",
    "race": "__local float z; z = x[get_global_id(0)]; y[get_global_id(0)] = z;",
    "none": "y[get_global_id(0)] = x[get_global_id(0)];",
}

context = cl.Context(cl.get_platforms()[0].get_devices())
queue = cl.CommandQueue(context)
body = KERNELS[sys.argv[1]]
program = cl.Program(context, f"__kernel void f(__global const float *x, __global float *y) {{ {body} }}").build()
flags = cl.mem_flags
x = cl.Buffer(context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=np.arange(4, dtype=np.float32))
y = cl.Buffer(context, flags.WRITE_ONLY, 16)
program.f(queue, (4,), (4,), x, y)
queue.finish()
