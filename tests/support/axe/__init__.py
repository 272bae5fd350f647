"""axe-core as its makers publish it, and one function that asks it."""
