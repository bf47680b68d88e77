"""What an evaluation is made of: predictions, metrics, distorted pictures, report."""
