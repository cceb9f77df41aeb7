"""The computations of layers as functions, under PyTorch's names: `from needle.nn import functional as F`.

Unless said otherwise a function keeps the shape and the floating dtype of `input`, a tensor; axes are called
`dim` here, as in PyTorch.
"""

from needle.nn.functional.activations import *
from needle.nn.functional.adaptive_pooling import *
from needle.nn.functional.attention import *
from needle.nn.functional.convolution import *
from needle.nn.functional.dropout import *
from needle.nn.functional.embedding import *
from needle.nn.functional.folding import *
from needle.nn.functional.interpolation import *
from needle.nn.functional.label_losses import *
from needle.nn.functional.linear import *
from needle.nn.functional.margin_losses import *
from needle.nn.functional.more_normalization import *
from needle.nn.functional.normalization import *
from needle.nn.functional.padding import *
from needle.nn.functional.pooling import *
from needle.nn.functional.positions import *
from needle.nn.functional.probability_losses import *
from needle.nn.functional.rectifiers import *
from needle.nn.functional.regression_losses import *
from needle.nn.functional.sampling import *
