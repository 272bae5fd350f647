"""What both processes use: options, logs, metrics, checks of files."""
