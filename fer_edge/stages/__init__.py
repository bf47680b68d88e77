"""The stages from a frame to the expressions of its faces, apart from detection: one module for each."""
