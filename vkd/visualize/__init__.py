"""Pictures of what networks and methods see."""
