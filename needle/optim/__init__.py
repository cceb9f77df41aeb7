"""Optimisers under PyTorch's names, `lr_scheduler` with learning-rate schedules, and `Optimizer` to write your own.

optimizer = ndl.optim.Adam(model.parameters(), lr=1e-3)
loss.backward()
optimizer.step()
optimizer.zero_grad()
"""

from needle.optim import lr_scheduler as lr_scheduler
from needle.optim.adadelta import Adadelta as Adadelta
from needle.optim.adagrad import Adagrad as Adagrad
from needle.optim.adam import Adam as Adam
from needle.optim.adam import AdamW as AdamW
from needle.optim.adamax import Adamax as Adamax
from needle.optim.lbfgs import LBFGS as LBFGS
from needle.optim.nadam import NAdam as NAdam
from needle.optim.optimizer import Optimizer as Optimizer
from needle.optim.radam import RAdam as RAdam
from needle.optim.rmsprop import RMSprop as RMSprop
from needle.optim.sgd import SGD as SGD
