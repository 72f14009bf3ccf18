"""Files that are whole or absent, images, CT slices, and text on a terminal."""
