"""How far a file is from its reference, measured on pictures and written as a parity certificate."""
