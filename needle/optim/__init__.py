"""Optimisers under PyTorch's names, `lr_scheduler` with learning-rate schedules, and `Optimizer` to write your own.

optimizer = ndl.optim.Adam(model.parameters(), lr=1e-3)
loss.backward()
optimizer.step()
optimizer.zero_grad()
"""

from needle.optim import lr_scheduler as lr_scheduler
from needle.optim import swa_utils as swa_utils
from needle.optim.adadelta import *
from needle.optim.adagrad import *
from needle.optim.adam import *
from needle.optim.adamax import *
from needle.optim.lbfgs import *
from needle.optim.nadam import *
from needle.optim.optimizer import *
from needle.optim.radam import *
from needle.optim.rmsprop import *
from needle.optim.sgd import *
