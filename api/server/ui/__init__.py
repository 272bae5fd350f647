"""The page to watch jobs with: its files, and what it asks that no other route answers."""
