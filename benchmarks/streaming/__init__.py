"""Made videos with known faces, and what a stream loses beside a full search of each frame."""
