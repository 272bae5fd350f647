"""What spans hosts is measured on three nodes of a Docker Swarm, beside bare calls to it."""
