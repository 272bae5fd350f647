"""The command ``docker-job``: works with the jobs of an API over HTTP."""
