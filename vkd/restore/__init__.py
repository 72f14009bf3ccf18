"""Images and CT slices through a trained network."""
