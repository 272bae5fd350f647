"""The jq program that a filter becomes, with what this service adds to the language."""
