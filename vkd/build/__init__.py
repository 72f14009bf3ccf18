"""What a config describes: read, told apart from others, built, loaded, and what it costs."""
