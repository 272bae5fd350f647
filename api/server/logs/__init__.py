"""The logs of jobs: read once and whole over any number of readings, and shown in three forms."""
