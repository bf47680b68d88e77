"""A model repository for Triton Inference Server: its configurations, and the code of the whole pipeline."""
