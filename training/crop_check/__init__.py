"""Examples for the crop check: faces as they are, covered, and rolled, each cut as the runtime cuts it."""
