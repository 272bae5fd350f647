"""The jobs of one namespace as the engine last showed them, and what keeps them up to date."""
