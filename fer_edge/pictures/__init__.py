"""Picture files: what their headers say of turns, sample depths and frames, reading them as BGR frames."""
