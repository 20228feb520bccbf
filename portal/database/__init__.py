"""Which database it is, asked here and nowhere else: the SQL dialect, bulk statements, and locks."""
