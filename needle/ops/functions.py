"""Every public function on tensors, of which `needle` and `needle.ops` re-export all.

A function is public because the `__all__` of its module names it. A new module of functions gets a line here.
"""

from needle.ops.activation import *
from needle.ops.arithmetic import *
from needle.ops.comparison import *
from needle.ops.convolution import *
from needle.ops.exponential import *
from needle.ops.gather import *
from needle.ops.matmul import *
from needle.ops.reductions import *
from needle.ops.shape import *
from needle.ops.softmax import *
from needle.ops.transfer import *
from needle.ops.trigonometric import *
