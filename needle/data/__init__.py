"""Data sets, and loading them in mini-batches.

loader = ndl.data.DataLoader(ndl.data.TensorDataset(images, labels), batch_size=64, shuffle=True, seed=0)
for x, y in loader:
    ...
"""

from needle.data.dataloader import *
from needle.data.dataset import *
from needle.data.mnist import *
