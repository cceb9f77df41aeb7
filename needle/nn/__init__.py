"""Neural networks: modules, layers and losses; `needle.nn.functional` has the computations as functions."""

from needle.nn import functional as functional
from needle.nn import init as init
from needle.nn import utils as utils
from needle.nn.activations import GELU as GELU
from needle.nn.activations import ReLU as ReLU
from needle.nn.activations import Sigmoid as Sigmoid
from needle.nn.activations import SiLU as SiLU
from needle.nn.activations import Softplus as Softplus
from needle.nn.activations import Tanh as Tanh
from needle.nn.containers import Residual as Residual
from needle.nn.containers import Sequential as Sequential
from needle.nn.dropout import Dropout as Dropout
from needle.nn.flatten import Flatten as Flatten
from needle.nn.linear import Identity as Identity
from needle.nn.linear import Linear as Linear
from needle.nn.losses import CrossEntropyLoss as CrossEntropyLoss
from needle.nn.losses import MSELoss as MSELoss
from needle.nn.losses import SoftmaxLoss as SoftmaxLoss
from needle.nn.module import LoadResult as LoadResult
from needle.nn.module import Module as Module
from needle.nn.normalization import BatchNorm1d as BatchNorm1d
from needle.nn.normalization import LayerNorm1d as LayerNorm1d
from needle.nn.parameter import Parameter as Parameter
