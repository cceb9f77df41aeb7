"""Linear algebra: products and norms on the device, factorisations by LAPACK on the host; `needle.linalg`.

Matrices are the last two axes of a tensor, and the axes before them stack matrices.
"""

from needle.ops.linalg.factorizations import *
from needle.ops.linalg.lapack import *
from needle.ops.linalg.norms import *
from needle.ops.linalg.products import *
from needle.ops.linalg.solving import *
from needle.ops.linalg.spectral import *
from needle.ops.linalg.standard import *
from needle.ops.matmul import matmul as matmul
