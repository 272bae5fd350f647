"""YAML config files as operators write them: read strictly, with a place for every fault."""
