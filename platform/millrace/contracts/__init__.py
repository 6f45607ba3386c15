"""Topics, event payloads, identifiers and errors: the words every room shares."""
