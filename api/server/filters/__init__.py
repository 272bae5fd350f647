"""Filter configs: read from files, run in worker processes, reloaded while requests go on."""
