"""Data sets, and loading them in mini-batches.

loader = ndl.data.DataLoader(ndl.data.TensorDataset(images, labels), batch_size=64, shuffle=True, seed=0)
for x, y in loader:
    ...
"""

from needle.data.dataloader import DataLoader as DataLoader
from needle.data.dataset import Dataset as Dataset
from needle.data.dataset import TensorDataset as NDArrayDataset  # the course's name
from needle.data.dataset import TensorDataset as TensorDataset
from needle.data.mnist import MNISTDataset as MNISTDataset

__all__ = ["DataLoader", "Dataset", "MNISTDataset", "NDArrayDataset", "TensorDataset"]
