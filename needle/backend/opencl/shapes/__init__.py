"""Launch shapes: how kernels are shaped for a kind of device, and the files that hold what tuning found."""
