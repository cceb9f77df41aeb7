"""Finding devices: the drivers of a machine, their platforms, the threads they start, and what a fork loses."""
