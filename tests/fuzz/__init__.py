"""Thousands of requests meant to break the API, and what must hold whatever they are."""
