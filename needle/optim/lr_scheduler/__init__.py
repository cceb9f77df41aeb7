"""Learning-rate schedules under PyTorch's names: `step()` after each epoch, or each batch, sets the next rate.

schedule = ndl.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
for epoch in range(epochs):
    train(...)
    schedule.step()
"""

from needle.optim.lr_scheduler.base import LRScheduler as LRScheduler
from needle.optim.lr_scheduler.combined import ChainedScheduler as ChainedScheduler
from needle.optim.lr_scheduler.combined import SequentialLR as SequentialLR
from needle.optim.lr_scheduler.cosine import CosineAnnealingLR as CosineAnnealingLR
from needle.optim.lr_scheduler.cosine import CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts
from needle.optim.lr_scheduler.cyclic import CyclicLR as CyclicLR
from needle.optim.lr_scheduler.cyclic import OneCycleLR as OneCycleLR
from needle.optim.lr_scheduler.factors import ConstantLR as ConstantLR
from needle.optim.lr_scheduler.factors import ExponentialLR as ExponentialLR
from needle.optim.lr_scheduler.factors import LambdaLR as LambdaLR
from needle.optim.lr_scheduler.factors import LinearLR as LinearLR
from needle.optim.lr_scheduler.factors import MultiplicativeLR as MultiplicativeLR
from needle.optim.lr_scheduler.factors import MultiStepLR as MultiStepLR
from needle.optim.lr_scheduler.factors import PolynomialLR as PolynomialLR
from needle.optim.lr_scheduler.factors import StepLR as StepLR
from needle.optim.lr_scheduler.plateau import ReduceLROnPlateau as ReduceLROnPlateau
