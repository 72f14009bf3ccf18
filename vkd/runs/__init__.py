"""One run, trained and tested and described; and many of them, as a suite."""
