"""What a warehouse must do, and the ones that do it."""
