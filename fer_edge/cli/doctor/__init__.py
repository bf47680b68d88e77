"""`fer-edge doctor`: the checks of the installation, of the GPU and of a Jetson."""
