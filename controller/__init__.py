"""The converging half: plans and acts until the policies hold."""
