"""Finds faces in a frame: the scales and tiles that it is searched at, and the search near a known face."""
