"""The libraries that fer_edge runs on: imports on first use, and the command that mends a bad install."""
