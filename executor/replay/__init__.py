"""What can be done with a recorded log alone."""
