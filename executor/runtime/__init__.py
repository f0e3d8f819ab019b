"""The shell around the core: performs effects and turns the world into inputs."""
