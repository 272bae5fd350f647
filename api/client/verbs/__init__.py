"""The verbs of the command, a group of them in each module."""
