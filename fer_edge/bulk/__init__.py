"""Many pictures and videos into one Parquet file, on a laptop or a Ray cluster: `python -m fer_edge.bulk`."""
