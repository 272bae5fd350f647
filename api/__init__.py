"""The recording half: the job contract, the engine port and the HTTP API."""
