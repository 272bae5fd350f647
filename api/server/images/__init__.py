"""Images that are not there: whether they are pulled, once for all who wait, and with what name."""
