"""The Engine interface on a Docker Swarm: a job is a service of one task."""
