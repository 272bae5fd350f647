"""The Docker adapter: the only place that knows aiodocker and Docker's words."""
