"""Neural networks: modules, layers and losses; `needle.nn.functional` has the computations as functions."""

from needle.nn import functional as functional
from needle.nn import init as init
from needle.nn import utils as utils
from needle.nn.activations import *
from needle.nn.attention import *
from needle.nn.containers import *
from needle.nn.convolution import *
from needle.nn.dropout import *
from needle.nn.embedding import *
from needle.nn.flatten import *
from needle.nn.linear import *
from needle.nn.losses import *
from needle.nn.module import *
from needle.nn.normalization import *
from needle.nn.padding import *
from needle.nn.parameter import *
from needle.nn.pooling import *
from needle.nn.rectifiers import *
from needle.nn.recurrent import *
from needle.nn.resampling import *
from needle.nn.state import *
from needle.nn.summary import *
from needle.nn.transformer import *
