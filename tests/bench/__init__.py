"""The benchmark: this product beside the bare engine, in one run on a private engine."""
