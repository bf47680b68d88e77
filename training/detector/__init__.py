"""Data, loss and metrics of the face detector."""
