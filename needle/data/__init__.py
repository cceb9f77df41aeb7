"""Data sets, and loading them in mini-batches.

loader = ndl.data.DataLoader(ndl.data.TensorDataset(images, labels), batch_size=64, shuffle=True, seed=0)
for x, y in loader:
    ...
"""

from needle.data import transforms as transforms
from needle.data.combining import *
from needle.data.dataloader import *
from needle.data.dataset import *
from needle.data.images import *
from needle.data.mnist import *
from needle.data.samplers import *
