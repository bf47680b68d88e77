"""Time, memory and size, each figure with its context; nothing imports this package but its tests."""
