"""The engine behind one small interface: a port, its Docker adapter, and an in-memory twin."""
