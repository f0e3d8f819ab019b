"""The pure heart of a run: inputs, effects, state, and the step from one to the next."""
