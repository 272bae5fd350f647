"""The engine behind one small interface, its errors, and its Docker adapter."""
