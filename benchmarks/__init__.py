"""Time, memory and size, each figure with its context. Only tests import this package."""
