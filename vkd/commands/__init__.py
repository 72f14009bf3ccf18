"""What the command lines do, one file a command."""
