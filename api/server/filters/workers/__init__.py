"""The worker processes that run filters: killable, bounded in time and memory."""
