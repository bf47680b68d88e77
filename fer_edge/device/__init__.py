"""What a machine has for networks, read from files: processor, board, driver, libraries; a module for each.

Nothing is imported, started or opened but text files, so that it is quick and cannot fail.
"""
