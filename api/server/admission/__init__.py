"""What a manifest may hold: rebuilt from known keys, then judged by a profile."""
