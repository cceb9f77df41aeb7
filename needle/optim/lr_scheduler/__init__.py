"""Learning-rate schedules under PyTorch's names: `step()` after each epoch, or each batch, sets the next rate.

schedule = ndl.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
for epoch in range(epochs):
    train(...)
    schedule.step()
"""

from needle.optim.lr_scheduler.base import *
from needle.optim.lr_scheduler.combined import *
from needle.optim.lr_scheduler.cosine import *
from needle.optim.lr_scheduler.cyclic import *
from needle.optim.lr_scheduler.factors import *
from needle.optim.lr_scheduler.plateau import *
