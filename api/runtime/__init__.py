"""Process plumbing that both processes use: options, logs, metrics, signals."""
