"""The GPU's memory, streams and graphs, in its primary context. pycuda makes all of it but the graphs.

Nothing here knows networks: fer_edge.backends.trt runs them on this. Importing the room needs neither pycuda
nor a GPU.
"""
