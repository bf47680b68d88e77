"""Network definitions; plain PyTorch, one architecture a file."""
