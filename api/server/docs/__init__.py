"""The API's description as JSON and as a page that needs no network."""
