"""The converging half: compares desired and actual Docker state, and acts until they agree."""
