"""Neural networks: modules, layers and losses; `needle.nn.functional` has the computations as functions."""

from needle.nn import functional as functional
from needle.nn._activations import GELU as GELU
from needle.nn._activations import ReLU as ReLU
from needle.nn._activations import Sigmoid as Sigmoid
from needle.nn._activations import SiLU as SiLU
from needle.nn._activations import Softplus as Softplus
from needle.nn._activations import Tanh as Tanh
from needle.nn._dropout import Dropout as Dropout
from needle.nn._flatten import Flatten as Flatten
from needle.nn._identity import Identity as Identity
from needle.nn._linear import Linear as Linear
from needle.nn._losses import CrossEntropyLoss as CrossEntropyLoss
from needle.nn._losses import MSELoss as MSELoss
from needle.nn._losses import SoftmaxLoss as SoftmaxLoss
from needle.nn._module import LoadResult as LoadResult
from needle.nn._module import Module as Module
from needle.nn._normalization import BatchNorm1d as BatchNorm1d
from needle.nn._normalization import LayerNorm1d as LayerNorm1d
from needle.nn._parameter import Parameter as Parameter
from needle.nn._residual import Residual as Residual
from needle.nn._sequential import Sequential as Sequential
