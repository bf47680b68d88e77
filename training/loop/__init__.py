"""What a training run is made of: settings, batches, distortions, optimizer, checkpoints."""
