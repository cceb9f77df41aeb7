"""Every operation on tensors, each declared once; `registry` lists the elementwise ones."""

from needle.ops.base import *
from needle.ops.functions import *
