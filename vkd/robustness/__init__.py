"""Corruptions and attacks: how they are made, and what a network keeps under them."""
