"""Optimisers: `SGD`, `Adam`, `AdamW`, and `Optimizer` to write your own.

optimizer = ndl.optim.Adam(model.parameters(), lr=1e-3)
loss.backward()
optimizer.step()
optimizer.zero_grad()
"""

from needle.optim.adam import *
from needle.optim.optimizer import *
from needle.optim.sgd import *
