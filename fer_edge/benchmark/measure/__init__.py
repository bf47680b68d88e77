"""Timing loop, statistics, memory, power and what is known of the board."""
