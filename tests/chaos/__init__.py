"""The chaos suite: a seeded workload, a nemesis, a recorded history and its checker."""
