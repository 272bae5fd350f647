"""Chaos on three nodes of a Docker Swarm: power, links, leaders and processes fail."""
