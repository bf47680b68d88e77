"""Measures this machine: time, throughput, memory and energy of the networks and of whole frames.

`fer-edge benchmark` is its door. `measure` times, counts and says how sure a figure is; `work` is what is
timed, by scenario; `report` shows a result. It needs no picture of the user's: faces are drawn.
"""
