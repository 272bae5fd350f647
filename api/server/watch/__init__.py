"""Event streams: what changes of jobs, told to whoever follows, each at its own pace."""
