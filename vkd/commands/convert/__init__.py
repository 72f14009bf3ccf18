"""Convert checkpoints and labels of other projects, and back."""
