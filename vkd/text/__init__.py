"""Text embeddings of class names."""
