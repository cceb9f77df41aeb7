"""Every public function on tensors, of which `needle` and `needle.ops` re-export all.

A function is public because the `__all__` of its module names it. A new module of functions gets a line here.
"""

from needle.ops.activation import *
from needle.ops.aliases import *
from needle.ops.arithmetic import *
from needle.ops.arranging import *
from needle.ops.comparison import *
from needle.ops.compositions import *
from needle.ops.convolution import *
from needle.ops.counting import *
from needle.ops.einsum import *
from needle.ops.exponential import *
from needle.ops.floats import *
from needle.ops.indexing.access import *
from needle.ops.indexing.functions import *
from needle.ops.indexing.taking import *
from needle.ops.joining import *
from needle.ops.linalg.norms import norm as norm
from needle.ops.linalg.products import *
from needle.ops.linalg.standard import cross as cross
from needle.ops.matmul import *
from needle.ops.padding import *
from needle.ops.places import *
from needle.ops.reductions import *
from needle.ops.sampled import *
from needle.ops.scanning import *
from needle.ops.searching import *
from needle.ops.sets import *
from needle.ops.shape import *
from needle.ops.softmax import *
from needle.ops.sorting import *
from needle.ops.transfer import *
from needle.ops.triangles import *
from needle.ops.trigonometric import *
from needle.ops.unique import *
