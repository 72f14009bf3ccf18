"""Draw pictures of what a trained network does."""
