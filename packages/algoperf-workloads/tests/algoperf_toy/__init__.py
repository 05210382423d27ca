"""A workload small enough for tests, with every kind of layer that the toolkit treats specially."""
