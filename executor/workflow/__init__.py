"""From SQL text to a plan: statements, what they read and write, the loop, retry units."""
