"""The precisions of an exported file, each a pass over the float32 graph."""
