"""The HTTP API: it records jobs and shows them; it never starts, stops or removes one."""
