"""Jobs behind the routes: recorded, looked up, counted."""
