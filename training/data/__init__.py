"""Labelled pictures of faces: one form for all data sets, copies, splits and crops."""
